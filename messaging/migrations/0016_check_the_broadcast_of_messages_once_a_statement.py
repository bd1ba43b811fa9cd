"""Who writes a million messages has their broadcast looked up once, not a million times.

The foreign key's check of every row was a quarter of PostgreSQL's work at accepting. Triggers refuse what it
refused, at the end of the statement instead of the transaction: a message of a broadcast that is not there,
and the end of a broadcast that has messages. As with other evidence, TRUNCATE is only withheld from the
serving role. Going back checks all messages there are, and nobody sends meanwhile: seconds for a million.
"""

import django.db.models.deletion
from django.db import migrations, models

# In the order in which those who work with messages lock them; ALTER TABLE by itself would take the other.
_LOCK = "LOCK TABLE messaging_broadcast, messaging_message IN ACCESS EXCLUSIVE MODE"

# FOR KEY SHARE makes one who deletes the broadcast at the same moment wait, and then see the messages.
_CREATE = """
CREATE FUNCTION messaging_require_broadcast() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
  named uuid;
BEGIN
  FOR named IN SELECT DISTINCT broadcast_id FROM written LOOP
    PERFORM FROM messaging_broadcast WHERE id = named FOR KEY SHARE;
    IF NOT FOUND THEN
      RAISE foreign_key_violation USING TABLE = 'messaging_message', COLUMN = 'broadcast_id',
        CONSTRAINT = 'messaging_message_has_broadcast',
        MESSAGE = format('Broadcast %s does not exist: a message of it is refused.', named);
    END IF;
  END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER messaging_message_has_broadcast AFTER INSERT ON messaging_message
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION messaging_require_broadcast();

CREATE FUNCTION messaging_refuse_other_broadcast() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE restrict_violation USING TABLE = 'messaging_message', COLUMN = 'broadcast_id',
    CONSTRAINT = 'messaging_message_keeps_broadcast',
    MESSAGE = format('Message %s stays with its broadcast.', OLD.id);
END $$;
CREATE TRIGGER messaging_message_keeps_broadcast BEFORE UPDATE OF broadcast_id ON messaging_message
  FOR EACH ROW WHEN (OLD.broadcast_id IS DISTINCT FROM NEW.broadcast_id)
  EXECUTE FUNCTION messaging_refuse_other_broadcast();

CREATE FUNCTION messaging_keep_broadcast() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE feature_not_supported USING MESSAGE = 'Delete broadcasts in a transaction that is READ COMMITTED:'
      ' another does not see the messages that were just written.';
  END IF;
  IF EXISTS (SELECT FROM messaging_message WHERE broadcast_id = OLD.id) THEN
    RAISE foreign_key_violation USING TABLE = 'messaging_broadcast',
      CONSTRAINT = 'messaging_broadcast_is_kept',
      MESSAGE = format('Broadcast %s has messages: it is kept.', OLD.id);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER messaging_broadcast_is_kept AFTER DELETE OR UPDATE OF id ON messaging_broadcast
  FOR EACH ROW EXECUTE FUNCTION messaging_keep_broadcast();
"""
_DROP = f"""
{_LOCK};
DROP TRIGGER messaging_broadcast_is_kept ON messaging_broadcast;
DROP TRIGGER messaging_message_keeps_broadcast ON messaging_message;
DROP TRIGGER messaging_message_has_broadcast ON messaging_message;
DROP FUNCTION messaging_keep_broadcast();
DROP FUNCTION messaging_refuse_other_broadcast();
DROP FUNCTION messaging_require_broadcast();
"""


class Migration(migrations.Migration):
    dependencies = [('messaging', '0015_indexes_of_retention')]

    operations = [
        migrations.RunSQL(_LOCK, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='message',
            name='broadcast',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='messaging.broadcast', verbose_name='broadcast'),
        ),
        migrations.RunSQL(_CREATE, _DROP),
    ]
