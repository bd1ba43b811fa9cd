"""Every address of the site."""

from django.conf import settings
from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from config import outside_urls
from config.outside_urls import handler400, handler403, handler404, handler500

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="home"),
    *outside_urls.urlpatterns,
    path(settings.ADMIN_PATH, admin.site.urls),
]
