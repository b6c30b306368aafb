{{/* What is asked of a new volume. */}}
{{- define "tetraview.claim" -}}
accessModes: [{{ default (eq .Values.topology "one" | ternary "ReadWriteOnce" "ReadWriteMany") .Values.storage.accessMode }}]
{{- with .Values.storage.storageClass }}
storageClassName: {{ . }}
{{- end }}
resources: {requests: {storage: {{ .Values.storage.size }}}}
{{- end -}}
