from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

import accounts.models


class Migration(migrations.Migration):
    """What the audit trail is read by. Built beside its readers and writers, so outside a transaction."""

    atomic = False

    dependencies = [('accounts', '0006_seal_earlier_entries')]

    operations = [
        AddIndexConcurrently(
            model_name='auditentry',
            index=models.Index(fields=['-created_at', '-id'], name='accounts_audit_newest'),
        ),
        AddIndexConcurrently(
            model_name='auditentry',
            index=models.Index(fields=['member', '-created_at', '-id'], name='accounts_audit_member'),
        ),
        AddIndexConcurrently(
            model_name='auditentry',
            index=models.Index(fields=['subject', '-created_at', '-id'], name='accounts_audit_subject'),
        ),
        AddIndexConcurrently(
            model_name='auditentry',
            index=models.Index(accounts.models.NounOf('act'), models.OrderBy(models.F('created_at'), descending=True), models.OrderBy(models.F('id'), descending=True), name='accounts_audit_noun'),
        ),
        AddIndexConcurrently(
            model_name='auditentry',
            index=models.Index(models.F('organization'), accounts.models.NounOf('act'), models.OrderBy(models.F('created_at'), descending=True), models.OrderBy(models.F('id'), descending=True), name='accounts_audit_own_noun'),
        ),
    ]
