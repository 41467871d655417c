"""The audit log: who asked for what and what came of it, as much of it as a policy says (Kubernetes
documentation, "Auditing"; types of audit.k8s.io/v1).

policy decides, trail follows one request, event words it; `app.audit_log` writes the lines.
"""
