"""HorizontalPodAutoscaler: as many replicas as the load asks for (`pkg/controller/podautoscaler`).

`demand` turns figures into replicas, `pace` says how fast one may follow them, `plan` decides and tells, and
`controller` asks for the figures.
"""
