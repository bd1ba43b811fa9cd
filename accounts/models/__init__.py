"""Rows of who acts: organizations, their members, the terms they accepted, and what they did."""

from accounts.models.audit import AuditEntry, AuditHead, AuditSeal, NounOf, UnsealedEntry
from accounts.models.members import ApiKey, Member, Organization, Terms, TermsAcceptance
from accounts.models.rows import Row, UuidV7

__all__ = [
    "ApiKey",
    "AuditEntry",
    "AuditHead",
    "AuditSeal",
    "Member",
    "NounOf",
    "Organization",
    "Row",
    "Terms",
    "TermsAcceptance",
    "UnsealedEntry",
    "UuidV7",
]
