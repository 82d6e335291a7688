-- The change log. While a machine reads it, changes are appended to it, and the machine announces all that are
-- new at once. Otherwise each change is notified by its own commit. Commits that notify wait for each other,
-- and wake every listener.
DO {log_body};
