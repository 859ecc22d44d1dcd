"""The built-in executors: ``local`` runs tasks in child processes of this host, ``sequential`` one at a time."""
