"""The Kubernetes provider: pods and jobs as Windlass tasks, objects of any kind, and Secrets as a secrets backend."""

from __future__ import annotations
