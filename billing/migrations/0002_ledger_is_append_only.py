"""An entry stays as it was written: PostgreSQL itself refuses UPDATE and DELETE.

TRUNCATE is not stopped here but revoked from the role that serves: emptying a test database needs it.
"""

from django.db import migrations

REFUSE = """
CREATE FUNCTION billing_refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'The ledger is append-only: % of entry % was refused.', TG_OP, OLD.id
    USING ERRCODE = 'restrict_violation',
      HINT = 'Correct a balance with a new movement through billing.ledger.';
END $$;
CREATE TRIGGER billing_ledger_append_only BEFORE UPDATE OR DELETE ON billing_ledgerentry
  FOR EACH ROW EXECUTE FUNCTION billing_refuse_ledger_change();
"""

ALLOW = """
DROP TRIGGER billing_ledger_append_only ON billing_ledgerentry;
DROP FUNCTION billing_refuse_ledger_change();
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_accounts_entries_and_rates")]

    operations = [migrations.RunSQL(REFUSE, ALLOW)]
