"""The admin's forms around passwords: signing in, and changing the own one."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.views import PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm

from accounts import sessions
from accounts.authentication import refusal_of
from accounts.doors.addresses import address_of
from accounts.models import Member


class SignInForm(AuthenticationForm):
    """Django's sign-in form, which says so when it was not even tried."""

    error_messages = {
        **AuthenticationForm.error_messages,
        "invalid_login": gettext_lazy(
            "No active member has this e-mail address and password. Mind small and capital "
            "letters in the password."
        ),
    }

    def get_invalid_login_error(self) -> ValidationError:
        refusal = refusal_of(self.request) if self.request is not None else None
        if refusal is not None:
            return ValidationError(str(refusal), code="too_many_attempts")
        wrong: ValidationError = super().get_invalid_login_error()
        return wrong


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """The member's own new password; guesses at the old one are counted as attempts to sign in."""

    user: Member

    def __init__(self, *args: Any, address: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.address = address

    def clean_old_password(self) -> str:
        password: str = self.cleaned_data["old_password"]
        try:
            sessions.identify(email=self.user.email, password=password, address=self.address)
        except sessions.WrongCredentials as refusal:
            raise ValidationError(self.error_messages["password_incorrect"]) from refusal
        except sessions.TooManyAttempts as refusal:
            raise ValidationError(str(refusal)) from refusal
        return password

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
        new = cleaned.get("new_password1")
        if new and new == cleaned.get("old_password"):
            self.add_error(
                "new_password1", _("Choose a password that differs from the current one.")
            )
        return cleaned

    def save(self, commit: bool = True) -> Member:  # noqa: ARG002, FBT001, FBT002 - Django's signature
        sessions.set_password(
            member=self.user,
            password=self.cleaned_data["new_password1"],
            by=self.user,
            address=self.address,
        )
        return self.user


class OwnPasswordView(PasswordChangeView):
    """The page on which a member changes his own password; this browser stays signed in."""

    form_class = OwnPasswordForm
    template_name = "registration/password_change_form.html"
    success_url = reverse_lazy("admin:password_change_done")

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "address": address_of(self.request)}


def password_change(request: HttpRequest, **context: Any) -> HttpResponse:
    """Show and take the form for the own password."""
    response = OwnPasswordView.as_view(extra_context=context)(request)
    assert isinstance(response, HttpResponse)  # noqa: S101 - a template or a redirect, told to mypy
    return response
