from django.db import migrations

FORBID = """
CREATE FUNCTION accounts_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit trail is append-only: % of an entry is refused.', lower(TG_OP)
        USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER accounts_audit_is_append_only BEFORE UPDATE OR DELETE ON accounts_auditentry
    FOR EACH ROW EXECUTE FUNCTION accounts_audit_is_append_only();
"""
ALLOW = """
DROP TRIGGER accounts_audit_is_append_only ON accounts_auditentry;
DROP FUNCTION accounts_audit_is_append_only();
"""


class Migration(migrations.Migration):
    """Refuse UPDATE and DELETE of audit entries. TRUNCATE is a matter of the serving role's rights."""

    dependencies = [("accounts", "0001_organizations_members_and_terms")]

    operations = [migrations.RunSQL(FORBID, ALLOW)]
