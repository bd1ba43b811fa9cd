import uuid

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import accounts.models

GUARD = """
CREATE FUNCTION accounts_audit_waits_for_its_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO accounts_unsealedentry (entry_id) VALUES (NEW.id);
    RETURN NULL;
END
$$;
CREATE TRIGGER accounts_audit_waits_for_its_seal AFTER INSERT ON accounts_auditentry
    FOR EACH ROW EXECUTE FUNCTION accounts_audit_waits_for_its_seal();
CREATE TRIGGER accounts_audit_is_append_only BEFORE UPDATE OR DELETE ON accounts_auditseal
    FOR EACH ROW EXECUTE FUNCTION accounts_audit_is_append_only();
CREATE TRIGGER accounts_audit_is_append_only BEFORE DELETE ON accounts_audithead
    FOR EACH ROW EXECUTE FUNCTION accounts_audit_is_append_only();
"""
LET_GO = """
DROP TRIGGER accounts_audit_is_append_only ON accounts_audithead;
DROP TRIGGER accounts_audit_is_append_only ON accounts_auditseal;
DROP TRIGGER accounts_audit_waits_for_its_seal ON accounts_auditentry;
DROP FUNCTION accounts_audit_waits_for_its_seal();
"""


class Migration(migrations.Migration):
    """Keys of programs; the chain that seals audit entries, and the trigger that has each of them sealed."""

    dependencies = [('accounts', '0004_approval_and_confirmation_sizes')]

    operations = [
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.UUIDField(db_default=accounts.models.UuidV7(), default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='created at')),
                ('name', models.CharField(help_text='Which program uses it, as: web shop.', max_length=100, verbose_name='name')),
                ('prefix', models.CharField(editable=False, help_text='To recognise it by.', max_length=16, verbose_name='begins with')),
                ('digest', models.BinaryField(max_length=32, unique=True)),
                ('is_active', models.BooleanField(default=True, editable=False, verbose_name='active')),
                ('last_used_at', models.DateTimeField(editable=False, null=True, verbose_name='last used at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('member', models.ForeignKey(help_text='Who made the key. It may do what this member may, and ends with him.', on_delete=django.db.models.deletion.PROTECT, related_name='api_keys', to=settings.AUTH_USER_MODEL, verbose_name='member')),
                ('organization', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='api_keys', to='accounts.organization', verbose_name='organization')),
            ],
            options={
                'verbose_name': 'API key',
                'verbose_name_plural': 'API keys',
                'indexes': [models.Index(fields=['organization', '-created_at', '-id'], name='accounts_key_organization')],
            },
        ),
        migrations.CreateModel(
            name='AuditHead',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('sequence', models.BigIntegerField(verbose_name='number')),
                ('mac', models.BinaryField(max_length=32)),
                ('proof', models.BinaryField(max_length=32)),
            ],
            options={
                'verbose_name': 'end of the audit seals',
                'verbose_name_plural': 'end of the audit seals',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='accounts_audithead_is_one')],
            },
        ),
        migrations.CreateModel(
            name='AuditSeal',
            fields=[
                ('sequence', models.BigIntegerField(primary_key=True, serialize=False, verbose_name='number')),
                ('digest', models.BinaryField(max_length=32)),
                ('previous', models.BinaryField(max_length=32)),
                ('mac', models.BinaryField(max_length=32)),
                ('sealed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name='sealed at')),
                ('entry', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='seal', to='accounts.auditentry', verbose_name='audit entry')),
            ],
            options={
                'verbose_name': 'audit seal',
                'verbose_name_plural': 'audit seals',
            },
        ),
        migrations.CreateModel(
            name='UnsealedEntry',
            fields=[
                ('number', models.BigAutoField(primary_key=True, serialize=False)),
                ('entry', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='accounts.auditentry')),
            ],
            options={
                'verbose_name': 'unsealed audit entry',
                'verbose_name_plural': 'unsealed audit entries',
            },
        ),
        migrations.RunSQL(GUARD, LET_GO),
    ]
