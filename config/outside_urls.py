"""The addresses of the site without its admin: all there is for those whom ADMIN_ADDRESSES does not name."""

from django.conf import settings
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from config import api_errors, health

urlpatterns = [
    # Asked for by browsers wherever a page names no icon of its own.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}pregon/icon.svg")),
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("api/", include("messaging.urls")),
    path("api/", include("accounts.urls")),
    path("api/", include("contacts.urls")),
    path("api/", include("billing.urls")),
    re_path(r"^api(?:/.*)?$", api_errors.unknown_route),
]

handler400 = "config.api_errors.bad_request"
handler403 = "config.api_errors.permission_denied"
handler404 = "config.api_errors.page_not_found"
handler500 = "config.api_errors.server_error"
