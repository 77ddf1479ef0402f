"""The pages of the django-oauth-toolkit peer."""

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from oauth2_provider.decorators import protected_resource


# Without `advertise_metadata` an expired access token is answered 403.
@protected_resource(advertise_metadata=True)
def _me(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"sub": request.resource_owner.get_username()})


urlpatterns = [
    path("login/", LoginView.as_view()),
    path("me/", _me),
    path("o/", include("oauth2_provider.urls")),
]
