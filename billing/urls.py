"""The addresses of credits, below /api/."""

from django.urls import path

from billing import views

urlpatterns = [
    path("credits", views.BalanceView.as_view(), name="credits"),
    path("credits/ledger", views.LedgerView.as_view(), name="ledger"),
]
