CREATE TABLE IF NOT EXISTS {machines} (
    machine_id text COLLATE "C" PRIMARY KEY
) WITH (fillfactor = 50);
ALTER TABLE {machines}
    ADD COLUMN IF NOT EXISTS boot_id uuid NOT NULL,
    ADD COLUMN IF NOT EXISTS app text,
    ADD COLUMN IF NOT EXISTS region text,
    ADD COLUMN IF NOT EXISTS address text,
    ADD COLUMN IF NOT EXISTS version text,
    ADD COLUMN IF NOT EXISTS started_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS beat_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS steady_since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS draining boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS left_at timestamptz,
    ADD COLUMN IF NOT EXISTS gone_at timestamptz,
    ADD COLUMN IF NOT EXISTS rival_at timestamptz,
    ADD COLUMN IF NOT EXISTS took_over boolean NOT NULL DEFAULT false;
