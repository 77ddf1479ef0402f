"""A Django project with django-oauth-toolkit."""
