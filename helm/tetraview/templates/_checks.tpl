{{/* Stops on values that contradict each other, with one sentence that says what to do. */}}
{{- define "tetraview.checks" -}}
{{- $scaled := eq .Values.topology "scaled" -}}
{{- $settings := .Values.settings -}}
{{- include "tetraview.checkSettings" . -}}
{{- include "tetraview.checkShutdown" . -}}
{{- include "tetraview.checkTls" (dict "root" . "port" "dicom") -}}
{{- include "tetraview.checkTls" (dict "root" . "port" "web") -}}
{{- include "tetraview.checkNetworkPolicy" . -}}
{{- include "tetraview.checkAutoscaling" . -}}
{{- if and $scaled (not .Values.database.secretName) -}}
{{- fail "topology scaled shares its work by PostgreSQL: set database.secretName to a Secret with its URL" -}}
{{- end -}}
{{- if and $scaled (hasPrefix "ReadWriteOnce" .Values.storage.accessMode) -}}
{{- fail "topology scaled shares one volume between nodes: set storage.accessMode to ReadWriteMany" -}}
{{- end -}}
{{- if and .Values.triton.url (ne .Values.triton.mode "external") -}}
{{- fail "triton.url is the address of a Triton that others run: set triton.mode to external, or remove it" -}}
{{- end -}}
{{- if and (eq .Values.triton.mode "external") (not .Values.triton.url) -}}
{{- fail "triton.mode external needs triton.url, the host:port where that Triton answers" -}}
{{- end -}}
{{- $listeners := .Values.listener.autoscaling.enabled | ternary .Values.listener.autoscaling.maxReplicas .Values.listener.replicas -}}
{{- if and $scaled $settings.worklist (gt (int $listeners) 1) -}}
{{- fail "settings.worklist is performed by one listener only: set listener.replicas to 1 and listener.autoscaling.enabled to false" -}}
{{- end -}}
{{- if and (eq .Values.dicom.service.type "ClusterIP") (or .Values.dicom.service.nodePort .Values.dicom.service.loadBalancerSourceRanges) -}}
{{- fail "dicom.service.type ClusterIP has neither node port nor load balancer: set it to NodePort or LoadBalancer, or remove nodePort and loadBalancerSourceRanges" -}}
{{- end -}}
{{- if and (ne .Values.dicom.service.type "ClusterIP") (not $settings.senders) -}}
{{- fail (printf "dicom.service.type %s lets nobody in without settings.senders: name the AE titles and addresses that may send" .Values.dicom.service.type) -}}
{{- end -}}
{{- with .Values.web.ingress -}}
{{- if and .enabled (not .loginInFront) -}}
{{- fail "the pages show patients and ask for no login: put one in front of the Ingress, and say so by web.ingress.loginInFront=true" -}}
{{- end -}}
{{- if and .enabled (not .host) -}}
{{- fail "web.ingress needs host, the name by which browsers ask for the pages" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Settings that the chart knows itself, and files that it does not mount. */}}
{{- define "tetraview.checkSettings" -}}
{{- $settings := .Values.settings -}}
{{- $instead := dict "role" "topology" "executor_id" "the names of pods" "data_dir" "storage" "database_url" "database.secretName, so that no password is among values" "database_url_file" "database.secretName" -}}
{{- range $key, $value := $instead -}}
{{- if hasKey $settings $key -}}
{{- fail (printf "settings.%s is set by the chart: remove it, and use %s" $key $value) -}}
{{- end -}}
{{- end -}}
{{- $instead = dict "dicom.host" "dicom.service" "dicom.port" "dicom.service.port" "dicom.tls" "dicom.tls of the chart" "web.host" "web.service" "web.port" "web.service.port" "web.certificate" "web.tls" "web.key" "web.tls" "triton.url" "triton.mode and triton.url of the chart" -}}
{{- range $place, $value := $instead -}}
{{- $section := splitList "." $place | first -}}
{{- if hasKey (default dict (get $settings $section)) (splitList "." $place | last) -}}
{{- fail (printf "settings.%s is set by the chart: remove it, and use %s" $place $value) -}}
{{- end -}}
{{- end -}}
{{- range regexFindAll "/run/tetraview/secrets/[^/\"]+" (toJson $settings) -1 -}}
{{- $name := base . -}}
{{- if not (has $name $.Values.secrets) -}}
{{- fail (printf "settings name a file of the Secret %s: add it to secrets" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tetraview.checkShutdown" -}}
{{- $components := eq .Values.topology "one" | ternary (list "one") (list "listener" "worker") -}}
{{- range $components -}}
{{- $needed := include "tetraview.neededSeconds" (dict "root" $ "component" .) | int -}}
{{- if and $.Values.shutdown.graceSeconds (lt (int $.Values.shutdown.graceSeconds) $needed) -}}
{{- fail (printf "shutdown.graceSeconds %d is shorter than the %d seconds that a pod of %s needs to end in order: raise it, or leave it to the chart with 0" (int $.Values.shutdown.graceSeconds) $needed .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes root and port. */}}
{{- define "tetraview.checkTls" -}}
{{- $tls := (index .root.Values .port).tls -}}
{{- if and $tls.certManager.enabled $tls.secretName -}}
{{- fail (printf "%s.tls has two certificates: keep either secretName or certManager.enabled" .port) -}}
{{- end -}}
{{- if and $tls.certManager.enabled (not $tls.certManager.issuerRef.name) -}}
{{- fail (printf "%s.tls.certManager needs issuerRef.name, the issuer that signs the certificate" .port) -}}
{{- end -}}
{{- if and $tls.trustedSecretName (not (or $tls.certManager.enabled $tls.secretName)) -}}
{{- fail (printf "%s.tls.trustedSecretName is used with TLS only: set secretName or certManager.enabled" .port) -}}
{{- end -}}
{{- end -}}

{{- define "tetraview.checkNetworkPolicy" -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.webFrom) -}}
{{- if .Values.web.ingress.enabled -}}
{{- fail "networkPolicy lets no Ingress in: add its controller to networkPolicy.webFrom" -}}
{{- end -}}
{{- if .Values.monitoring.podMonitor.enabled -}}
{{- fail "networkPolicy lets no Prometheus in: add it to networkPolicy.webFrom" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.egress) -}}
{{- $needs := list -}}
{{- range (default list .Values.settings.destinations) -}}
{{- if not (include "tetraview.cidr" (default "" .host)) }}{{ $needs = append $needs (printf "the destination %s" .name) }}{{ end -}}
{{- end -}}
{{- if .Values.database.secretName }}{{ $needs = append $needs "PostgreSQL" }}{{ end -}}
{{- if eq .Values.triton.mode "external" }}{{ $needs = append $needs "Triton" }}{{ end -}}
{{- if .Values.settings.worklist }}{{ $needs = append $needs "the worklist" }}{{ end -}}
{{- if .Values.settings.traces }}{{ $needs = append $needs "the collector of traces" }}{{ end -}}
{{- if $needs -}}
{{- fail (printf "networkPolicy lets nothing out to %s: add it to networkPolicy.egress, or set networkPolicy.enabled to false" (join ", " $needs)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tetraview.checkAutoscaling" -}}
{{- $worker := .Values.worker.autoscaling -}}
{{- if and (eq .Values.topology "one") (or .Values.listener.autoscaling.enabled (ne $worker.mode "none")) -}}
{{- fail "topology one is a single pod: set topology to scaled, or autoscaling to none" -}}
{{- end -}}
{{- if and (eq $worker.mode "keda") (not $worker.prometheus) -}}
{{- fail "worker.autoscaling.mode keda needs worker.autoscaling.prometheus, the address that it asks" -}}
{{- end -}}
{{- range list $worker .Values.listener.autoscaling -}}
{{- if gt (int .minReplicas) (int .maxReplicas) -}}
{{- fail "autoscaling.minReplicas is larger than autoscaling.maxReplicas: exchange them" -}}
{{- end -}}
{{- end -}}
{{- end -}}
