CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
CREATE TABLE asset (
    id INTEGER NOT NULL,
    uri VARCHAR(250) NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_asset PRIMARY KEY (id),
    CONSTRAINT uq_asset_uri UNIQUE (uri)
);
CREATE TABLE asset_listener (
    is_alias INTEGER NOT NULL,
    name VARCHAR(250) NOT NULL,
    dag_id VARCHAR(250) NOT NULL,
    CONSTRAINT pk_asset_listener PRIMARY KEY (is_alias, name, dag_id)
);
CREATE INDEX ix_asset_listener_dag_id ON asset_listener (dag_id);
CREATE TABLE backfill (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    dag_id VARCHAR(250) NOT NULL,
    from_date BIGINT NOT NULL,
    to_date BIGINT NOT NULL,
    max_active_runs BIGINT DEFAULT 16 NOT NULL,
    reprocess VARCHAR(32) DEFAULT 'none' NOT NULL,
    backwards INTEGER DEFAULT 0 NOT NULL,
    task_regex TEXT,
    conf TEXT NOT NULL,
    created_by VARCHAR(250) NOT NULL,
    created_at BIGINT NOT NULL,
    cancelled_at BIGINT,
    completed_at BIGINT,
    spec_version VARCHAR(64) DEFAULT '' NOT NULL,
    code_version VARCHAR(64) DEFAULT '' NOT NULL,
    intervals BIGINT DEFAULT 0 NOT NULL,
    dealt BIGINT DEFAULT 0 NOT NULL,
    reached BIGINT
);
CREATE INDEX ix_backfill_open ON backfill (id) WHERE completed_at IS NULL;
CREATE TABLE code_version (
    code_version VARCHAR(64) NOT NULL,
    bundle VARCHAR(250) NOT NULL,
    file TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_code_version PRIMARY KEY (code_version)
);
CREATE TABLE connection (
    conn_id VARCHAR(250) NOT NULL,
    conn_type VARCHAR(250) NOT NULL,
    description TEXT NOT NULL,
    secret BLOB NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_connection PRIMARY KEY (conn_id)
);
CREATE TABLE dag (
    dag_id VARCHAR(250) NOT NULL,
    bundle VARCHAR(250) NOT NULL,
    file TEXT NOT NULL,
    spec_version VARCHAR(64) NOT NULL,
    code_version VARCHAR(64) NOT NULL,
    paused INTEGER DEFAULT 0 NOT NULL,
    stale INTEGER DEFAULT 0 NOT NULL,
    unpaused_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    paused_by VARCHAR(250),
    paused_reason TEXT,
    owner VARCHAR(64),
    CONSTRAINT pk_dag PRIMARY KEY (dag_id)
);
CREATE TABLE dag_version (
    dag_id VARCHAR(250) NOT NULL,
    spec_version VARCHAR(64) NOT NULL,
    spec BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT pk_dag_version PRIMARY KEY (dag_id, spec_version)
);
CREATE TABLE idempotency (
    name VARCHAR(250) NOT NULL,
    command VARCHAR(250) NOT NULL,
    request VARCHAR(64) NOT NULL,
    reply BLOB NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_idempotency PRIMARY KEY (name)
);
CREATE TABLE import_error (
    id INTEGER NOT NULL,
    bundle VARCHAR(100) NOT NULL,
    file VARCHAR(500) NOT NULL,
    severity VARCHAR(32) NOT NULL,
    message TEXT NOT NULL,
    output TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_import_error PRIMARY KEY (id)
);
CREATE INDEX ix_import_error_file ON import_error (bundle, file);
CREATE TABLE job (
    id INTEGER NOT NULL,
    kind VARCHAR(32) NOT NULL,
    hostname VARCHAR(250) NOT NULL,
    pid BIGINT DEFAULT 0 NOT NULL,
    started_at BIGINT NOT NULL,
    heartbeat_at BIGINT NOT NULL,
    ended_at BIGINT,
    CONSTRAINT pk_job PRIMARY KEY (id)
);
CREATE TABLE observer (
    name VARCHAR(250) NOT NULL,
    hooks TEXT NOT NULL,
    CONSTRAINT pk_observer PRIMARY KEY (name)
);
CREATE TABLE parsed_file (
    bundle VARCHAR(100) NOT NULL,
    file VARCHAR(500) NOT NULL,
    code_version VARCHAR(64),
    inputs TEXT NOT NULL,
    dags TEXT NOT NULL,
    min_interval_us BIGINT,
    duration_us BIGINT DEFAULT 0 NOT NULL,
    parsed_at BIGINT NOT NULL,
    CONSTRAINT pk_parsed_file PRIMARY KEY (bundle, file)
);
CREATE TABLE pool (
    name VARCHAR(250) NOT NULL,
    slots BIGINT DEFAULT 128 NOT NULL,
    description TEXT NOT NULL,
    include_deferred INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_pool PRIMARY KEY (name)
);
CREATE TABLE run (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    dag_id VARCHAR(250) NOT NULL,
    run_id VARCHAR(250) NOT NULL,
    run_type VARCHAR(32) NOT NULL,
    state VARCHAR(32) NOT NULL,
    logical_date BIGINT NOT NULL,
    interval_start BIGINT NOT NULL,
    interval_end BIGINT NOT NULL,
    run_after BIGINT NOT NULL,
    queued_at BIGINT NOT NULL,
    start_date BIGINT,
    end_date BIGINT,
    spec_version VARCHAR(64) NOT NULL,
    code_version VARCHAR(64) NOT NULL,
    bundle VARCHAR(250) NOT NULL,
    file TEXT NOT NULL,
    generation BIGINT DEFAULT 0 NOT NULL,
    owner VARCHAR(250),
    owner_until BIGINT,
    conf TEXT NOT NULL,
    note TEXT,
    triggered_by VARCHAR(250) NOT NULL,
    backfill_id BIGINT,
    ending VARCHAR(32),
    ending_reason TEXT,
    callbacks VARCHAR(32) DEFAULT '' NOT NULL,
    interval_pending INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT uq_run_dag_id_run_id UNIQUE (dag_id, run_id),
    CONSTRAINT uq_run_dag_id_logical_date UNIQUE (dag_id, logical_date)
);
CREATE INDEX ix_run_backfill ON run (backfill_id, logical_date) WHERE backfill_id IS NOT NULL;
CREATE INDEX ix_run_backfill_open ON run (backfill_id, state) WHERE backfill_id IS NOT NULL AND state IN ('queued','running');
CREATE INDEX ix_run_open ON run (run_after, id) WHERE state IN ('queued','running');
CREATE INDEX ix_run_scheduled ON run (dag_id, logical_date) WHERE run_type = 'scheduled';
CREATE TABLE scheduler (
    owner VARCHAR(64) NOT NULL,
    home TEXT NOT NULL,
    hostname VARCHAR(250) NOT NULL,
    pid BIGINT DEFAULT 0 NOT NULL,
    started_at BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    CONSTRAINT pk_scheduler PRIMARY KEY (owner)
);
CREATE TABLE signal (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    kind VARCHAR(32) NOT NULL,
    dag_id VARCHAR(250) DEFAULT '' NOT NULL,
    run BIGINT DEFAULT 0 NOT NULL,
    task BIGINT DEFAULT 0 NOT NULL
);
CREATE TABLE timetable_question (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    dag_id VARCHAR(250) NOT NULL,
    run BIGINT DEFAULT 0 NOT NULL,
    digest VARCHAR(64) NOT NULL,
    spec_version VARCHAR(64) NOT NULL,
    question BLOB NOT NULL,
    ticket VARCHAR(64) NOT NULL,
    lease_id VARCHAR(64),
    lease_until BIGINT,
    asked_at BIGINT NOT NULL,
    answered_at BIGINT,
    answer BLOB,
    failures BIGINT DEFAULT 0 NOT NULL,
    error TEXT,
    retry_at BIGINT,
    CONSTRAINT uq_timetable_question_dag_id_run UNIQUE (dag_id, run)
);
CREATE TABLE variable (
    name VARCHAR(250) NOT NULL,
    description TEXT NOT NULL,
    secret BLOB NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT pk_variable PRIMARY KEY (name)
);
CREATE TABLE asset_event (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    asset INTEGER NOT NULL,
    extra TEXT NOT NULL,
    alias VARCHAR(250),
    run BIGINT,
    ti_id BIGINT,
    source_dag_id VARCHAR(250),
    source_run_id VARCHAR(250),
    source_task_id VARCHAR(250),
    source_map_index BIGINT,
    at BIGINT NOT NULL,
    who VARCHAR(250) DEFAULT '' NOT NULL,
    CONSTRAINT fk_asset_event_asset FOREIGN KEY(asset) REFERENCES asset (id) ON DELETE CASCADE
);
CREATE INDEX ix_asset_event_alias ON asset_event (alias, id) WHERE alias IS NOT NULL;
CREATE INDEX ix_asset_event_asset ON asset_event (asset, id);
CREATE TABLE deadline_miss (
    run INTEGER NOT NULL,
    position INTEGER NOT NULL,
    due_at BIGINT NOT NULL,
    missed_at BIGINT NOT NULL,
    CONSTRAINT pk_deadline_miss PRIMARY KEY (run, position),
    CONSTRAINT fk_deadline_miss_run FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE
);
CREATE TABLE run_transition (
    seq INTEGER NOT NULL,
    run INTEGER NOT NULL,
    from_state VARCHAR(32) NOT NULL,
    to_state VARCHAR(32) NOT NULL,
    actor VARCHAR(32) NOT NULL,
    who VARCHAR(250) DEFAULT '' NOT NULL,
    op_id VARCHAR(100) NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_run_transition PRIMARY KEY (seq),
    CONSTRAINT uq_run_transition_op_id UNIQUE (op_id),
    CONSTRAINT fk_run_transition_run FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE
);
CREATE INDEX ix_run_transition_run ON run_transition (run, seq);
CREATE TABLE ti (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL,
    task_id VARCHAR(250) NOT NULL,
    map_index BIGINT DEFAULT (-1) NOT NULL,
    state VARCHAR(32) DEFAULT 'none' NOT NULL,
    try_number BIGINT DEFAULT 0 NOT NULL,
    max_tries BIGINT DEFAULT 0 NOT NULL,
    retries BIGINT DEFAULT 0 NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    ticket VARCHAR(64),
    lease_id VARCHAR(64),
    pool VARCHAR(250) NOT NULL,
    pool_slots BIGINT DEFAULT 1 NOT NULL,
    queue VARCHAR(250) NOT NULL,
    executor VARCHAR(250),
    code_version VARCHAR(64) NOT NULL,
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
    stop_kind VARCHAR(32),
    stop_who VARCHAR(250),
    callbacks VARCHAR(64) DEFAULT '' NOT NULL,
    is_leaf INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT uq_ti_run_task_id_map_index UNIQUE (run, task_id, map_index),
    CONSTRAINT fk_ti_run FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE
);
CREATE INDEX ix_ti_deferred ON ti (pool, pool_slots) WHERE state = 'deferred';
CREATE INDEX ix_ti_occupying ON ti (pool, run, task_id, pool_slots) WHERE state IN ('queued','running');
CREATE INDEX ix_ti_queued ON ti (queued_at, id) WHERE state = 'queued';
CREATE TABLE asset_delivery (
    event INTEGER NOT NULL,
    dag_id VARCHAR(250) NOT NULL,
    asset INTEGER NOT NULL,
    alias VARCHAR(250),
    counts INTEGER DEFAULT 1 NOT NULL,
    run INTEGER,
    CONSTRAINT pk_asset_delivery PRIMARY KEY (event, dag_id),
    CONSTRAINT fk_asset_delivery_event FOREIGN KEY(event) REFERENCES asset_event (id) ON DELETE CASCADE,
    CONSTRAINT fk_asset_delivery_asset FOREIGN KEY(asset) REFERENCES asset (id) ON DELETE CASCADE,
    CONSTRAINT fk_asset_delivery_run FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE
);
CREATE INDEX ix_asset_delivery_alias ON asset_delivery (dag_id, alias) WHERE run IS NULL AND alias IS NOT NULL;
CREATE INDEX ix_asset_delivery_run ON asset_delivery (run, event) WHERE run IS NOT NULL;
CREATE INDEX ix_asset_delivery_waiting ON asset_delivery (dag_id, asset, event) WHERE run IS NULL;
CREATE TABLE attempt (
    lease_id VARCHAR(64) NOT NULL,
    ti_id INTEGER NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    try_number BIGINT DEFAULT 0 NOT NULL,
    supervisor VARCHAR(250) NOT NULL,
    hostname VARCHAR(250) NOT NULL,
    pid BIGINT DEFAULT 0 NOT NULL,
    lease_until BIGINT NOT NULL,
    claimed_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    duration_us BIGINT,
    outcome VARCHAR(32),
    reason TEXT,
    log_size BIGINT DEFAULT 0 NOT NULL,
    rendered TEXT,
    CONSTRAINT pk_attempt PRIMARY KEY (lease_id),
    CONSTRAINT uq_attempt_ti_id_epoch UNIQUE (ti_id, epoch),
    CONSTRAINT fk_attempt_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE
);
CREATE INDEX ix_attempt_open ON attempt (lease_until, supervisor, lease_id) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX uq_attempt_open ON attempt (ti_id) WHERE ended_at IS NULL;
CREATE TABLE outbox (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    consumer VARCHAR(250) DEFAULT '' NOT NULL,
    event VARCHAR(32) NOT NULL,
    run INTEGER,
    ti_id INTEGER,
    try_number BIGINT DEFAULT 0 NOT NULL,
    op_id VARCHAR(100) NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT,
    created_at BIGINT NOT NULL,
    claimed_by VARCHAR(250),
    claimed_until BIGINT,
    delivered_at BIGINT,
    failures BIGINT DEFAULT 0 NOT NULL,
    CONSTRAINT uq_outbox_consumer_op_id UNIQUE (consumer, op_id),
    CONSTRAINT fk_outbox_run FOREIGN KEY(run) REFERENCES run (id) ON DELETE CASCADE,
    CONSTRAINT fk_outbox_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE
);
CREATE INDEX ix_outbox_pending ON outbox (consumer, id) WHERE delivered_at IS NULL;
CREATE INDEX ix_outbox_run ON outbox (run);
CREATE INDEX ix_outbox_ti_id ON outbox (ti_id);
CREATE TABLE transition (
    seq INTEGER NOT NULL,
    ti_id INTEGER NOT NULL,
    from_state VARCHAR(32) NOT NULL,
    to_state VARCHAR(32) NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    actor VARCHAR(32) NOT NULL,
    who VARCHAR(250) DEFAULT '' NOT NULL,
    op_id VARCHAR(100) NOT NULL,
    reason TEXT NOT NULL,
    at BIGINT NOT NULL,
    CONSTRAINT pk_transition PRIMARY KEY (seq),
    CONSTRAINT uq_transition_op_id UNIQUE (op_id),
    CONSTRAINT fk_transition_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE
);
CREATE INDEX ix_transition_ti ON transition (ti_id, seq);
CREATE TABLE trigger_wait (
    ti_id INTEGER NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    live INTEGER DEFAULT 1 NOT NULL,
    classpath TEXT NOT NULL,
    kwargs BLOB NOT NULL,
    method TEXT NOT NULL,
    resume_kwargs BLOB NOT NULL,
    event BLOB,
    created_at BIGINT NOT NULL,
    failure TEXT,
    holder VARCHAR(250),
    held_until BIGINT,
    CONSTRAINT pk_trigger_wait PRIMARY KEY (ti_id),
    CONSTRAINT fk_trigger_wait_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE
);
CREATE TABLE xcom (
    ti_id INTEGER NOT NULL,
    name VARCHAR(250) NOT NULL,
    epoch BIGINT DEFAULT 0 NOT NULL,
    codec VARCHAR(32) NOT NULL,
    data BLOB NOT NULL,
    artifact VARCHAR(64),
    size BIGINT DEFAULT 0 NOT NULL,
    length BIGINT,
    preview TEXT NOT NULL,
    CONSTRAINT pk_xcom PRIMARY KEY (ti_id, name),
    CONSTRAINT fk_xcom_ti_id FOREIGN KEY(ti_id) REFERENCES ti (id) ON DELETE CASCADE
);
CREATE INDEX ix_xcom_artifact ON xcom (artifact);
INSERT INTO pool (name, slots, description, include_deferred) VALUES ('default_pool', 128, 'Every task that names no other pool', 0);
INSERT INTO alembic_version (version_num) VALUES ('0007');
