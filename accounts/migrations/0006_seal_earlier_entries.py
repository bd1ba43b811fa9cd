from django.db import migrations

# Those written since the trigger stands wait already, or are sealed.
WAIT = """
INSERT INTO accounts_unsealedentry (entry_id)
SELECT e.id FROM accounts_auditentry e
WHERE NOT EXISTS (SELECT FROM accounts_unsealedentry u WHERE u.entry_id = e.id)
  AND NOT EXISTS (SELECT FROM accounts_auditseal s WHERE s.entry_id = e.id)
ORDER BY e.created_at, e.id
"""


class Migration(migrations.Migration):
    """Have the entries sealed that were written before there were seals."""

    dependencies = [('accounts', '0005_api_keys_and_audit_seals')]

    operations = [migrations.RunSQL(WAIT, migrations.RunSQL.noop)]
