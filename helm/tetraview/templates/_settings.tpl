{{/* The settings file, TOML: what was given, and what the chart knows. */}}
{{- define "tetraview.settings" -}}
{{- $name := include "tetraview.fullname" . -}}
{{- $settings := deepCopy .Values.settings -}}
{{- $hosts := concat (dig "web" "allowed_hosts" list $settings) (fromYamlArray (include "tetraview.hosts" (dict "root" . "name" (printf "%s-web" $name)))) -}}
{{- $hosts = append $hosts (printf "%s-worker-pods" $name) -}}
{{- with .Values.web.ingress }}{{ if .enabled }}{{ $hosts = append $hosts .host }}{{ end }}{{ end -}}
{{- $dicom := dict "host" "0.0.0.0" "port" 11112 -}}
{{- if include "tetraview.certificate" (dict "root" . "port" "dicom") -}}
{{- $folder := "/run/tetraview/tls/dicom" -}}
{{- $trusted := .Values.dicom.tls.trustedSecretName | empty | ternary (printf "%s/ca.crt" $folder) "/run/tetraview/tls/trusted/ca.crt" -}}
{{- $_ := set $dicom "tls" (dict "certificate" (printf "%s/tls.crt" $folder) "key" (printf "%s/tls.key" $folder) "trusted_certificates" $trusted) -}}
{{- end -}}
{{- $web := dict "host" "0.0.0.0" "port" 8080 "allowed_hosts" $hosts -}}
{{- if include "tetraview.certificate" (dict "root" . "port" "web") -}}
{{- $_ := merge $web (dict "certificate" "/run/tetraview/tls/web/tls.crt" "key" "/run/tetraview/tls/web/tls.key") -}}
{{- end -}}
{{- /* Below the volume, whose own folder belongs to root. */ -}}
{{- $own := dict "data_dir" "/var/lib/tetraview/data" "dicom" $dicom "web" $web "triton" (dict "url" (include "tetraview.tritonUrl" .)) -}}
{{- if .Values.database.secretName -}}
{{- $_ := set $own "database_url_file" "/run/tetraview/database/url" -}}
{{- end -}}
{{- $settings = mergeOverwrite $settings $own -}}
{{- include "tetraview.wholeNumbers" $settings -}}
{{- toToml $settings -}}
{{- end -}}

{{/* Makes whole numbers of a tree integers again, in place: Helm reads every number of YAML as one with a fraction. */}}
{{- define "tetraview.wholeNumbers" -}}
{{- $tree := . -}}
{{- range $key, $value := $tree -}}
{{- if kindIs "map" $value -}}
{{- include "tetraview.wholeNumbers" $value -}}
{{- else if kindIs "slice" $value -}}
{{- range $value }}{{ if kindIs "map" . }}{{ include "tetraview.wholeNumbers" . }}{{ end }}{{ end -}}
{{- else if and (kindIs "float64" $value) (eq (floor $value) $value) -}}
{{- $_ := set $tree $key (int64 $value) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where Triton answers, host:port. */}}
{{- define "tetraview.tritonUrl" -}}
{{- if eq .Values.triton.mode "sidecar" -}}
127.0.0.1:8001
{{- else if eq .Values.triton.mode "deployment" -}}
{{ include "tetraview.fullname" . }}-triton:8001
{{- else -}}
{{ .Values.triton.url }}
{{- end -}}
{{- end -}}

{{/* Seconds that a pod needs to end in order. Takes root and component. */}}
{{- define "tetraview.neededSeconds" -}}
{{- $settings := .root.Values.settings -}}
{{- $drain := dig "dicom" "drain_seconds" 30 $settings -}}
{{- $deadline := dig "triton" "deadline_seconds" 60 $settings -}}
{{- /* Images in flight come first, then the step that is under way, which may be a request to Triton. */ -}}
{{- $work := eq .component "listener" | ternary $drain (eq .component "worker" | ternary $deadline (addf $drain $deadline)) -}}
{{- /* Heartbeat, pages and databases end in a few seconds more. */ -}}
{{- addf $work .root.Values.shutdown.preStopSeconds 15 | ceil | int64 -}}
{{- end -}}

{{/* The grace period of a pod, seconds. Takes root and component. */}}
{{- define "tetraview.graceSeconds" -}}
{{- .root.Values.shutdown.graceSeconds | int64 | default (include "tetraview.neededSeconds" .) -}}
{{- end -}}
