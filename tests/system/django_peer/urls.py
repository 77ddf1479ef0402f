"""The pages of the django-oauth-toolkit peer."""

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from oauth2_provider.decorators import protected_resource


# Without `advertise_metadata` an expired access token is answered 403.
@protected_resource(advertise_metadata=True)
def _me(request: HttpRequest) -> JsonResponse:
    # There is none with the credentials of a client.
    owner = request.resource_owner
    return JsonResponse({"sub": owner and owner.get_username()})


urlpatterns = [
    path("login/", LoginView.as_view()),
    path("me/", _me),
    path("o/", include("oauth2_provider.urls")),
]
