CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
CREATE TABLE dag (
    dag_id TEXT COLLATE "C" NOT NULL,
    bundle TEXT COLLATE "C" NOT NULL,
    file TEXT NOT NULL,
    spec_version TEXT COLLATE "C" NOT NULL,
    code_version TEXT COLLATE "C" NOT NULL,
    paused INTEGER DEFAULT 0 NOT NULL,
    stale INTEGER DEFAULT 0 NOT NULL,
    unpaused_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_dag PRIMARY KEY (dag_id)
);
CREATE TABLE dag_version (
    dag_id TEXT COLLATE "C" NOT NULL,
    spec_version TEXT COLLATE "C" NOT NULL,
    spec BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_dag_version PRIMARY KEY (dag_id, spec_version)
);
CREATE TABLE code_version (
    code_version TEXT COLLATE "C" NOT NULL,
    bundle TEXT COLLATE "C" NOT NULL,
    file TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_code_version PRIMARY KEY (code_version)
);
CREATE TABLE parsed_file (
    bundle TEXT COLLATE "C" NOT NULL,
    file TEXT COLLATE "C" NOT NULL,
    code_version TEXT COLLATE "C",
    inputs TEXT NOT NULL,
    dags TEXT NOT NULL,
    min_interval_us BIGINT,
    duration_us BIGINT DEFAULT 0 NOT NULL,
    parsed_at BIGINT NOT NULL,
    CONSTRAINT pk_parsed_file PRIMARY KEY (bundle, file)
);
CREATE TABLE import_error (
    id BIGSERIAL NOT NULL,
    bundle TEXT COLLATE "C" NOT NULL,
    file TEXT COLLATE "C" NOT NULL,
    severity TEXT COLLATE "C" NOT NULL,
    message TEXT NOT NULL,
    output TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_import_error PRIMARY KEY (id)
);
CREATE INDEX ix_import_error_file ON import_error (bundle, file);
CREATE TABLE run (
    id BIGSERIAL NOT NULL,
    dag_id TEXT COLLATE "C" NOT NULL,
    run_id TEXT COLLATE "C" NOT NULL,
    run_type TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    logical_date BIGINT NOT NULL,
    interval_start BIGINT NOT NULL,
    interval_end BIGINT NOT NULL,
    run_after BIGINT NOT NULL,
    queued_at BIGINT NOT NULL,
    start_date BIGINT,
    end_date BIGINT,
    spec_version TEXT COLLATE "C" NOT NULL,
    code_version TEXT COLLATE "C" NOT NULL,
    bundle TEXT COLLATE "C" NOT NULL,
    file TEXT NOT NULL,
    generation BIGINT DEFAULT 0 NOT NULL,
    owner TEXT COLLATE "C",
    owner_until BIGINT,
    conf TEXT NOT NULL,
    note TEXT,
    triggered_by TEXT COLLATE "C" NOT NULL,
    backfill_id BIGINT,
    ending TEXT COLLATE "C",
    ending_reason TEXT,
    callbacks TEXT COLLATE "C" DEFAULT '' NOT NULL,
    CONSTRAINT pk_run PRIMARY KEY (id),
    CONSTRAINT uq_run_dag_id_logical_date UNIQUE (dag_id, logical_date),
    CONSTRAINT uq_run_dag_id_run_id UNIQUE (dag_id, run_id)
);
CREATE INDEX ix_run_open ON run (run_after, id) WHERE state IN ('queued','running');
CREATE INDEX ix_run_scheduled ON run (dag_id, logical_date) WHERE run_type = 'scheduled';
CREATE TABLE run_transition (
    seq BIGSERIAL NOT NULL,
    run BIGINT NOT NULL,
    from_state TEXT COLLATE "C" NOT NULL,
    to_state TEXT COLLATE "C" NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    who TEXT COLLATE "C" DEFAULT '' NOT NULL,
    op_id TEXT COLLATE "C" NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_run_transition PRIMARY KEY (seq),
    CONSTRAINT fk_run_transition_run FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE,
    CONSTRAINT uq_run_transition_op_id UNIQUE (op_id)
);
CREATE INDEX ix_run_transition_run ON run_transition (run, seq);
CREATE TABLE ti (
    id BIGSERIAL NOT NULL,
    run BIGINT NOT NULL,
    task_id TEXT COLLATE "C" NOT NULL,
    map_index BIGINT DEFAULT -1 NOT NULL,
    state TEXT COLLATE "C" DEFAULT 'none' NOT NULL,
    try_number BIGINT DEFAULT 0 NOT NULL,
    max_tries BIGINT DEFAULT 0 NOT NULL,
    retries BIGINT DEFAULT 0 NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    ticket TEXT COLLATE "C",
    lease_id TEXT COLLATE "C",
    pool TEXT COLLATE "C" NOT NULL,
    pool_slots BIGINT DEFAULT 1 NOT NULL,
    queue TEXT COLLATE "C" NOT NULL,
    executor TEXT COLLATE "C",
    code_version TEXT COLLATE "C" NOT NULL,
    queued_at BIGINT,
    start_date BIGINT,
    end_date BIGINT,
    duration_us BIGINT,
    not_before BIGINT,
    result_length BIGINT,
    skip_targets TEXT,
    reason TEXT,
    map_label TEXT,
    continues INTEGER DEFAULT 0 NOT NULL,
    first_poke BIGINT,
    clears BIGINT DEFAULT 0 NOT NULL,
    stop_kind TEXT COLLATE "C",
    stop_who TEXT COLLATE "C",
    callbacks TEXT COLLATE "C" DEFAULT '' NOT NULL,
    is_leaf INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_ti PRIMARY KEY (id),
    CONSTRAINT fk_ti_run FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE,
    CONSTRAINT uq_ti_run_task_id_map_index UNIQUE (run, task_id, map_index)
);
CREATE INDEX ix_ti_deferred ON ti (pool, pool_slots) WHERE state = 'deferred';
CREATE INDEX ix_ti_occupying ON ti (pool, run, task_id, pool_slots) WHERE state IN ('queued','running');
CREATE INDEX ix_ti_queued ON ti (queued_at, id) WHERE state = 'queued';
CREATE TABLE attempt (
    lease_id TEXT COLLATE "C" NOT NULL,
    ti_id BIGINT NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    try_number BIGINT DEFAULT 0 NOT NULL,
    supervisor TEXT COLLATE "C" NOT NULL,
    hostname TEXT COLLATE "C" NOT NULL,
    pid BIGINT DEFAULT 0 NOT NULL,
    lease_until BIGINT NOT NULL,
    claimed_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    duration_us BIGINT,
    outcome TEXT COLLATE "C",
    reason TEXT,
    log_size BIGINT DEFAULT 0 NOT NULL,
    rendered TEXT,
    CONSTRAINT pk_attempt PRIMARY KEY (lease_id),
    CONSTRAINT fk_attempt_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE,
    CONSTRAINT uq_attempt_ti_id_epoch UNIQUE (ti_id, epoch)
);
CREATE INDEX ix_attempt_open ON attempt (lease_until, supervisor, lease_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX uq_attempt_open ON attempt (ti_id) WHERE ended_at IS NULL;
CREATE TABLE transition (
    seq BIGSERIAL NOT NULL,
    ti_id BIGINT NOT NULL,
    from_state TEXT COLLATE "C" NOT NULL,
    to_state TEXT COLLATE "C" NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    who TEXT COLLATE "C" DEFAULT '' NOT NULL,
    op_id TEXT COLLATE "C" NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_transition PRIMARY KEY (seq),
    CONSTRAINT fk_transition_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE,
    CONSTRAINT uq_transition_op_id UNIQUE (op_id)
);
CREATE INDEX ix_transition_ti ON transition (ti_id, seq);
CREATE TABLE signal (
    id BIGSERIAL NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    dag_id TEXT COLLATE "C" DEFAULT '' NOT NULL,
    run BIGINT DEFAULT 0 NOT NULL,
    task BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_signal PRIMARY KEY (id)
);
CREATE TABLE outbox (
    id BIGSERIAL NOT NULL,
    consumer TEXT COLLATE "C" DEFAULT '' NOT NULL,
    event TEXT COLLATE "C" NOT NULL,
    run BIGINT,
    ti_id BIGINT,
    try_number BIGINT DEFAULT 0 NOT NULL,
    op_id TEXT COLLATE "C" NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT,
    created_at BIGINT NOT NULL,
    claimed_by TEXT COLLATE "C",
    claimed_until BIGINT,
    delivered_at BIGINT,
    failures BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT pk_outbox PRIMARY KEY (id),
    CONSTRAINT fk_outbox_run FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE,
    CONSTRAINT fk_outbox_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE,
    CONSTRAINT uq_outbox_consumer_op_id UNIQUE (consumer, op_id)
);
CREATE INDEX ix_outbox_pending ON outbox (consumer, id) WHERE delivered_at IS NULL;
CREATE TABLE observer (
    name TEXT COLLATE "C" NOT NULL,
    hooks TEXT NOT NULL,
    CONSTRAINT pk_observer PRIMARY KEY (name)
);
CREATE TABLE trigger_wait (
    ti_id BIGINT NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    live INTEGER DEFAULT 1 NOT NULL,
    classpath TEXT NOT NULL,
    kwargs BYTEA NOT NULL,
    method TEXT NOT NULL,
    resume_kwargs BYTEA NOT NULL,
    event BYTEA,
    timeout_at BIGINT,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_trigger_wait PRIMARY KEY (ti_id),
    CONSTRAINT fk_trigger_wait_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE
);
CREATE TABLE xcom (
    ti_id BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    codec TEXT COLLATE "C" NOT NULL,
    data BYTEA NOT NULL,
    artifact TEXT COLLATE "C",
    size BIGINT DEFAULT 0 NOT NULL,
    length BIGINT,
    preview TEXT NOT NULL,
    CONSTRAINT pk_xcom PRIMARY KEY (ti_id, name),
    CONSTRAINT fk_xcom_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE
);
CREATE INDEX ix_xcom_artifact ON xcom (artifact);
CREATE TABLE asset (
    id BIGSERIAL NOT NULL,
    uri TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_asset PRIMARY KEY (id),
    CONSTRAINT uq_asset_uri UNIQUE (uri)
);
CREATE TABLE asset_event (
    id BIGSERIAL NOT NULL,
    asset BIGINT NOT NULL,
    extra TEXT NOT NULL,
    alias TEXT COLLATE "C",
    run BIGINT,
    ti_id BIGINT,
    source_dag_id TEXT COLLATE "C",
    source_run_id TEXT COLLATE "C",
    source_task_id TEXT COLLATE "C",
    source_map_index BIGINT,
    at BIGINT NOT NULL,
    CONSTRAINT pk_asset_event PRIMARY KEY (id),
    CONSTRAINT fk_asset_event_asset FOREIGN KEY(asset) REFERENCES asset (id) ON DELETE CASCADE
);
CREATE INDEX ix_asset_event_asset ON asset_event (asset, id);
CREATE TABLE pool (
    name TEXT COLLATE "C" NOT NULL,
    slots BIGINT DEFAULT 128 NOT NULL,
    description TEXT NOT NULL,
    include_deferred INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_pool PRIMARY KEY (name)
);
CREATE TABLE connection (
    conn_id TEXT COLLATE "C" NOT NULL,
    conn_type TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    secret BYTEA NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_connection PRIMARY KEY (conn_id)
);
CREATE TABLE variable (
    name TEXT COLLATE "C" NOT NULL,
    description TEXT NOT NULL,
    secret BYTEA NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_variable PRIMARY KEY (name)
);
CREATE TABLE backfill (
    id BIGSERIAL NOT NULL,
    dag_id TEXT COLLATE "C" NOT NULL,
    from_date BIGINT NOT NULL,
    to_date BIGINT NOT NULL,
    max_active_runs BIGINT DEFAULT 16 NOT NULL,
    reprocess TEXT COLLATE "C" DEFAULT 'none' NOT NULL,
    backwards INTEGER DEFAULT 0 NOT NULL,
    task_regex TEXT,
    conf TEXT NOT NULL,
    created_by TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    cancelled_at BIGINT,
    completed_at BIGINT,
    CONSTRAINT pk_backfill PRIMARY KEY (id)
);
CREATE TABLE job (
    id BIGSERIAL NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    hostname TEXT COLLATE "C" NOT NULL,
    pid BIGINT DEFAULT 0 NOT NULL,
    started_at BIGINT NOT NULL,
    heartbeat_at BIGINT NOT NULL,
    ended_at BIGINT,
    CONSTRAINT pk_job PRIMARY KEY (id)
);
CREATE TABLE idempotency (
    name TEXT COLLATE "C" NOT NULL,
    command TEXT COLLATE "C" NOT NULL,
    request TEXT COLLATE "C" NOT NULL,
    reply BYTEA NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_idempotency PRIMARY KEY (name)
);
INSERT INTO pool (name, slots, description, include_deferred) VALUES ('default_pool', 128, 'Every task that names no other pool', 0);
INSERT INTO alembic_version (version_num) VALUES ('0001');
