{{/* The beginning of every object's name; short enough for what is put behind it. */}}
{{- define "tetraview.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* The name of a component's StatefulSet; that of `one` is the release's. Takes root and component. */}}
{{- define "tetraview.name" -}}
{{ include "tetraview.fullname" .root }}{{ if ne .component "one" }}-{{ .component }}{{ end }}
{{- end -}}

{{/* Labels that never change, by which pods are selected. Takes root and component; none selects all of the release. */}}
{{- define "tetraview.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* Labels of every object. Takes root and component. */}}
{{- define "tetraview.labels" -}}
{{ include "tetraview.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Reference of an image. Takes root and image. */}}
{{- define "tetraview.image" -}}
{{ .image.repository }}{{ if .image.digest }}@{{ .image.digest }}{{ else }}:{{ default .root.Chart.AppVersion .image.tag }}{{ end }}
{{- end -}}

{{/* The component that receives: `one` or `listener`. */}}
{{- define "tetraview.receiving" -}}
{{ eq .Values.topology "one" | ternary "one" "listener" }}
{{- end -}}

{{/* The component that reads: `one` or `worker`. */}}
{{- define "tetraview.reading" -}}
{{ eq .Values.topology "one" | ternary "one" "worker" }}
{{- end -}}

{{/* The Secret with the certificate of `dicom` or `web`; empty, there is no TLS. Takes root and port. */}}
{{- define "tetraview.certificate" -}}
{{- $tls := (index .root.Values .port).tls -}}
{{- if $tls.certManager.enabled -}}
{{ include "tetraview.fullname" .root }}-{{ .port }}-tls
{{- else -}}
{{ $tls.secretName }}
{{- end -}}
{{- end -}}

{{/* How the web port is spoken to: http or https. */}}
{{- define "tetraview.scheme" -}}
{{ include "tetraview.certificate" (dict "root" . "port" "web") | empty | ternary "http" "https" }}
{{- end -}}

{{/* Names of a Service within the cluster, a YAML list. Takes root and name. */}}
{{- define "tetraview.hosts" -}}
- {{ .name }}
- {{ .name }}.{{ .root.Release.Namespace }}
- {{ .name }}.{{ .root.Release.Namespace }}.svc
- {{ .name }}.{{ .root.Release.Namespace }}.svc.cluster.local
{{- end -}}
