{{/* An address or network as CIDR; empty for a name. */}}
{{- define "tetraview.cidr" -}}
{{- if contains "/" . -}}
{{ . }}
{{- else if contains ":" . -}}
{{ . }}/128
{{- else if regexMatch "^[0-9]+([.][0-9]+){3}$" . -}}
{{ . }}/32
{{- end -}}
{{- end -}}

{{/* The NetworkPolicy of pods of the service: what is not named is denied. Takes root, component, receives and reads. */}}
{{- define "tetraview.networkPolicy" -}}
{{- $policy := .root.Values.networkPolicy -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "tetraview.name" . }}
  labels:
    {{- include "tetraview.labels" . | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tetraview.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - ports: [{port: 8080, protocol: TCP}]
      from:
        # The test of the release.
        - podSelector:
            matchLabels:
              {{- include "tetraview.selector" (dict "root" .root "component" "test") | nindent 14 }}
        {{- with $policy.webFrom }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- $networks := include "tetraview.senderNetworks" .root | fromYamlArray }}
    {{- if and .receives $networks }}
    - ports: [{port: 11112, protocol: TCP}]
      from:
        {{- range $networks }}
        - ipBlock: {cidr: {{ . | quote }}}
        {{- end }}
    {{- end }}
    {{- if and .reads (eq .root.Values.triton.mode "sidecar") $policy.tritonMetricsFrom }}
    - ports: [{port: 8002, protocol: TCP}]
      from:
        {{- toYaml $policy.tritonMetricsFrom | nindent 8 }}
    {{- end }}
  egress:
    - ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
      to:
        {{- toYaml $policy.dns | nindent 8 }}
    {{- if and .reads (eq .root.Values.triton.mode "deployment") }}
    - ports: [{port: 8001, protocol: TCP}]
      to:
        - podSelector:
            matchLabels:
              {{- include "tetraview.selector" (dict "root" .root "component" "triton") | nindent 14 }}
    {{- end }}
    {{- range .root.Values.settings.destinations }}
    {{- $cidr := include "tetraview.cidr" (default "" .host) }}
    {{- if $cidr }}
    - ports: [{port: {{ .port }}, protocol: TCP}]
      to: [{ipBlock: {cidr: {{ $cidr | quote }}}}]
    {{- end }}
    {{- end }}
    {{- with $policy.egress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* Networks that may call the DICOM port, a YAML list. */}}
{{- define "tetraview.senderNetworks" -}}
{{- $networks := .Values.networkPolicy.dicomFrom -}}
{{- if not $networks -}}
{{- range .Values.settings.senders -}}
{{- range .addresses }}{{ $networks = append $networks (include "tetraview.cidr" .) }}{{ end -}}
{{- end -}}
{{- end -}}
{{- toYaml (uniq $networks) -}}
{{- end -}}
