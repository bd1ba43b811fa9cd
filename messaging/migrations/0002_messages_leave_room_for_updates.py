"""Room in each page of messages for the versions that its status changes write.

A message is updated three times in its life at least. With a quarter of every page left free those
versions stay on the row's own page, and autovacuum comes by before the table has doubled.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_broadcasts_messages_and_skips")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE messaging_message SET (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.05,"
            " autovacuum_analyze_scale_factor = 0.02)",
            "ALTER TABLE messaging_message RESET (fillfactor, autovacuum_vacuum_scale_factor,"
            " autovacuum_analyze_scale_factor)",
        ),
        # Every drain and report moves its counters: small and hot.
        migrations.RunSQL(
            "ALTER TABLE messaging_broadcast SET (fillfactor = 50)",
            "ALTER TABLE messaging_broadcast RESET (fillfactor)",
        ),
    ]
