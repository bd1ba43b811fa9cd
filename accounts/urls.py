"""The addresses of sign-in, terms, organizations and keys, under /api/."""

from django.urls import path

from accounts import views

urlpatterns = [
    path("auth/sign-in", views.SignInView.as_view(), name="sign-in"),
    path("auth/refresh", views.RefreshView.as_view(), name="refresh"),
    path("auth/logout", views.LogoutView.as_view(), name="logout"),
    path("auth/change-password", views.ChangePasswordView.as_view(), name="change-password"),
    path("auth/me", views.MeView.as_view(), name="me"),
    path("terms/current", views.CurrentTermsView.as_view(), name="terms-current"),
    path("terms/accept", views.AcceptTermsView.as_view(), name="terms-accept"),
    path(
        "organizations/<uuid:organization_id>",
        views.OrganizationDetailView.as_view(),
        name="organization",
    ),
    path(
        "organizations/<uuid:organization_id>/accept-terms",
        views.AcceptOrganizationTermsView.as_view(),
        name="organization-accept-terms",
    ),
    path("api-keys", views.ApiKeysView.as_view(), name="api-keys"),
    path("api-keys/<uuid:key_id>", views.ApiKeyView.as_view(), name="api-key"),
]
