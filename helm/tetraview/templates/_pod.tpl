{{/* The template of a pod of the service. Takes root, component, role and values (those of the component). */}}
{{- define "tetraview.pod" -}}
{{- $reads := ne .role "listener" -}}
{{- $receives := ne .role "worker" -}}
{{- $values := .root.Values -}}
{{- $claim := or $values.storage.existingClaim (eq $values.topology "scaled") -}}
metadata:
  labels:
    {{- include "tetraview.labels" . | nindent 4 }}
  annotations:
    # A change of the settings rolls the pods.
    checksum/settings: {{ include "tetraview.settings" .root | sha256sum }}
    {{- with .values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "tetraview.placement" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ include "tetraview.graceSeconds" . }}
  containers:
    - name: service
      image: {{ include "tetraview.image" (dict "root" .root "image" $values.image) }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      command: [tetraview, serve]
      env:
        # Also for commands that a person runs here, such as doctor.
        - name: TETRAVIEW_CONFIG
          value: /etc/tetraview/tetraview.toml
        - name: TETRAVIEW_ROLE
          value: {{ .role }}
        # A restart under the same name continues its work.
        - name: TETRAVIEW_EXECUTOR_ID
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
      ports:
        {{- if $receives }}
        - {name: dicom, containerPort: 11112, protocol: TCP}
        {{- end }}
        - {name: web, containerPort: 8080, protocol: TCP}
      # Never the DICOM port: a connection that is opened and closed there is an association that was cut off, which
      # takes a place, writes a line of log for each probe and says nothing about the ledger.
      startupProbe:
        httpGet: {{ include "tetraview.health" (dict "root" .root "path" "/livez") }}
        periodSeconds: 5
        timeoutSeconds: 5
        # Ten minutes: a new version may have a large ledger to migrate.
        failureThreshold: 120
      livenessProbe:
        httpGet: {{ include "tetraview.health" (dict "root" .root "path" "/livez") }}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {{ include "tetraview.health" (dict "root" .root "path" "/readyz") }}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      lifecycle:
        # Load balancers learn only while this goes on that the pod ends.
        preStop: {exec: {command: [sleep, {{ $values.shutdown.preStopSeconds | quote }}]}}
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      securityContext:
        {{- include "tetraview.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: data, mountPath: /var/lib/tetraview}
        - {name: settings, mountPath: /etc/tetraview, readOnly: true}
        - {name: tmp, mountPath: /tmp}
        {{- if $values.database.secretName }}
        - {name: database, mountPath: /run/tetraview/database, readOnly: true}
        {{- end }}
        {{- range $port := list "dicom" "web" }}
        {{- if include "tetraview.certificate" (dict "root" $.root "port" $port) }}
        - {name: {{ $port }}-tls, mountPath: /run/tetraview/tls/{{ $port }}, readOnly: true}
        {{- end }}
        {{- end }}
        {{- if $values.dicom.tls.trustedSecretName }}
        - {name: trusted, mountPath: /run/tetraview/tls/trusted, readOnly: true}
        {{- end }}
        {{- range $values.secrets }}
        - {name: secret-{{ . }}, mountPath: /run/tetraview/secrets/{{ . }}, readOnly: true}
        {{- end }}
    {{- if and $reads (eq $values.triton.mode "sidecar") }}
    # A plain container: an init container that stays would keep images away until all models have loaded.
    {{- include "tetraview.tritonContainer" (dict "root" .root "host" "127.0.0.1") | nindent 4 }}
    {{- end }}
  volumes:
    {{- if $claim }}
    - name: data
      persistentVolumeClaim: {claimName: {{ default (printf "%s-data" (include "tetraview.fullname" .root)) $values.storage.existingClaim }}}
    {{- end }}
    - name: settings
      configMap: {name: {{ include "tetraview.fullname" .root }}-settings}
    - name: tmp
      emptyDir: {sizeLimit: 512Mi}
    {{- with $values.database.secretName }}
    - name: database
      secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: {{ $values.database.secretKey }}, path: url}]}
    {{- end }}
    {{- range $port := list "dicom" "web" }}
    {{- with include "tetraview.certificate" (dict "root" $.root "port" $port) }}
    - name: {{ $port }}-tls
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- end }}
    {{- with $values.dicom.tls.trustedSecretName }}
    - name: trusted
      secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: {{ $values.dicom.tls.trustedSecretKey }}, path: ca.crt}]}
    {{- end }}
    {{- range $values.secrets }}
    - name: secret-{{ . }}
      secret: {secretName: {{ . }}, defaultMode: 0440}
    {{- end }}
    {{- if and $reads (eq $values.triton.mode "sidecar") }}
    {{- include "tetraview.tritonVolumes" .root | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* What the specification of every pod of the release begins with. Takes root, component and values. */}}
{{- define "tetraview.placement" -}}
serviceAccountName: {{ include "tetraview.fullname" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  # The spool may hold millions of files: their owner is looked at once.
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "tetraview.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}

{{- define "tetraview.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* A health check on the web port. Takes root and path. */}}
{{- define "tetraview.health" -}}
{path: {{ .path }}, port: web, scheme: {{ include "tetraview.scheme" .root | upper }}}
{{- end -}}
