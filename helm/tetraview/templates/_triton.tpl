{{/* The container of Triton, a list item. Takes root and host, the address that gRPC listens on. */}}
{{- define "tetraview.tritonContainer" -}}
{{- $triton := .root.Values.triton -}}
{{- $sidecar := eq .host "127.0.0.1" -}}
- name: triton
  image: {{ include "tetraview.image" (dict "root" .root "image" $triton.image) }}
  imagePullPolicy: {{ $triton.image.pullPolicy }}
  command: [tritonserver]
  args:
    - --model-repository=/models
    # Clients cannot load models or take them away.
    - --model-control-mode=none
    - --disable-auto-complete-config
    - --exit-on-error=true
    - --exit-timeout-secs=30
    - --allow-http=false
    - --allow-grpc=true
    - --grpc-address={{ .host }}
    - --grpc-port=8001
    - --allow-metrics=true
    - --metrics-address=0.0.0.0
    - --metrics-port=8002
    - --allow-gpu-metrics={{ ne $triton.gpu.resource "" }}
  env:
    # The root is read-only, and libraries look for a home to write to.
    - {name: HOME, value: /tmp}
    # As many threads as it may have cores, not as many as the node has; those that wait leave their core to others.
    - name: OMP_NUM_THREADS
      valueFrom: {resourceFieldRef: {containerName: triton, resource: limits.cpu}}
    - {name: OMP_WAIT_POLICY, value: PASSIVE}
  ports:
    {{- if not $sidecar }}
    - {name: grpc, containerPort: 8001, protocol: TCP}
    {{- end }}
    - {name: metrics, containerPort: 8002, protocol: TCP}
  {{- /* Triton opens its ports when all models have loaded. On loopback only metrics can be asked from outside. */}}
  {{- $probe := $sidecar | ternary "httpGet: {path: /metrics, port: metrics, scheme: HTTP}" "grpc: {port: 8001}" }}
  startupProbe:
    {{ $probe }}
    periodSeconds: 5
    timeoutSeconds: 5
    failureThreshold: {{ divf $triton.startSeconds 5 | ceil | int64 }}
  livenessProbe:
    {{ $probe }}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  readinessProbe:
    {{ $probe }}
    periodSeconds: 5
    timeoutSeconds: 5
    failureThreshold: 2
  lifecycle:
    # The service, which ends at the same time, still asks until it is told to end.
    preStop: {exec: {command: [sleep, {{ add .root.Values.shutdown.preStopSeconds 5 | quote }}]}}
  resources:
    requests:
      {{- toYaml $triton.resources.requests | nindent 6 }}
      {{- with $triton.gpu.resource }}
      {{ . }}: {{ $triton.gpu.count | quote }}
      {{- end }}
    limits:
      {{- toYaml $triton.resources.limits | nindent 6 }}
      {{- with $triton.gpu.resource }}
      {{ . }}: {{ $triton.gpu.count | quote }}
      {{- end }}
  securityContext:
    {{- include "tetraview.containerSecurity" .root | nindent 4 }}
  volumeMounts:
    - {name: triton-shm, mountPath: /dev/shm}
    - {name: triton-tmp, mountPath: /tmp}
{{- end -}}

{{- define "tetraview.tritonVolumes" -}}
- name: triton-shm
  emptyDir: {medium: Memory, sizeLimit: {{ .Values.triton.sharedMemory }}}
- name: triton-tmp
  emptyDir: {sizeLimit: 1Gi}
{{- end -}}
