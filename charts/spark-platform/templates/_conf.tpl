{{/*
spark-defaults.conf. Argument: dict root, accounts (serviceAccounts of a namespace), for: what reads it.
  submit     spark-submit in a job namespace
  operator   the Spark operator's spark-submit, which brings the gang scheduler's part itself
  connect    the Connect server, a driver in client mode
  history    the history server, which needs the file systems only
*/}}
{{- define "spark-platform.conf" -}}
{{- $properties := include "spark-platform.properties" . | fromJson -}}
{{- range $key := keys $properties | sortAlpha }}
{{ $key }} {{ get $properties $key | toString | replace "\\" "\\\\" }}
{{- end }}
{{- end -}}

{{/* The same as a JSON map; everything in it is text. Empty text and 0 are left out. */}}
{{- define "spark-platform.properties" -}}
{{- $root := .root -}}
{{- $d := $root.Values.sparkDefaults -}}
{{- $all := dict -}}
{{- $parts := list "storage" -}}
{{- if ne .for "history" -}}{{- $parts = list "storage" "jobs" "pods" "scaling" "security" "catalogs" "rapids" "gang" -}}{{- end -}}
{{- range $part := $parts -}}
{{- $all = merge $all (include (printf "spark-platform.conf.%s" $part) $ | fromJson) -}}
{{- end -}}
{{- if ne .for "history" -}}
{{- range $key, $value := $d.extra -}}{{- $_ := set $all $key $value -}}{{- end -}}
{{- end -}}
{{- $kept := dict -}}
{{- range $key, $value := $all -}}
{{- if not (or (eq (toString $value) "") (eq (toString $value) "0") (kindIs "invalid" $value)) -}}
{{- $_ := set $kept $key (include "spark-platform.text" $value) -}}
{{- end -}}
{{- end -}}
{{- toJson $kept -}}
{{- end -}}

{{/* A value as text. Helm reads every number as a float, and would print 104857600 as 1.048576e+08. */}}
{{- define "spark-platform.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{- printf "%.0f" . -}}{{- else -}}{{- toString . -}}{{- end -}}
{{- end -}}

{{/* Object stores, HDFS and the event log. */}}
{{- define "spark-platform.conf.storage" -}}
{{- $d := .root.Values.sparkDefaults -}}
{{- $c := dict -}}
{{- with $d.s3 -}}
{{- $_ := set $c "spark.hadoop.fs.s3a.endpoint" .endpoint -}}
{{- $_ := set $c "spark.hadoop.fs.s3a.endpoint.region" .region -}}
{{- if .pathStyle -}}{{- $_ := set $c "spark.hadoop.fs.s3a.path.style.access" "true" -}}{{- end -}}
{{- if hasPrefix "http:" .endpoint -}}{{- $_ := set $c "spark.hadoop.fs.s3a.connection.ssl.enabled" "false" -}}{{- end -}}
{{- if .credentials.secretName -}}
{{- $_ := set $c "spark.hadoop.fs.s3a.aws.credentials.provider" "software.amazon.awssdk.auth.credentials.EnvironmentVariableCredentialsProvider" -}}
{{- end -}}
{{- end -}}
{{- toJson $c -}}
{{- end -}}

{{- define "spark-platform.conf.jobs" -}}
{{- $root := .root -}}
{{- $d := $root.Values.sparkDefaults -}}
{{- $c := dict "spark.kubernetes.container.image" (include "spark-platform.image" $root) "spark.kubernetes.container.image.pullPolicy" $root.Values.image.pullPolicy -}}
{{- $secrets := list -}}
{{- range $root.Values.imagePullSecrets -}}{{- $secrets = append $secrets .name -}}{{- end -}}
{{- $_ := set $c "spark.kubernetes.container.image.pullSecrets" (join "," $secrets) -}}
{{- if ne .for "connect" -}}
{{- $_ := set $c "spark.kubernetes.authenticate.driver.serviceAccountName" .accounts.driver.name -}}
{{- range $key, $value := dict "cores" $d.driver.cores "memory" $d.driver.memory "memoryOverheadFactor" $d.driver.memoryOverheadFactor -}}
{{- $_ := set $c (printf "spark.driver.%s" $key) $value -}}
{{- end -}}
{{- $_ := set $c "spark.kubernetes.driver.limit.cores" $d.driver.limitCores -}}
{{- end -}}
{{- $_ := set $c "spark.kubernetes.authenticate.executor.serviceAccountName" .accounts.executor.name -}}
{{- range $key, $value := dict "cores" $d.executor.cores "memory" $d.executor.memory "memoryOverheadFactor" $d.executor.memoryOverheadFactor -}}
{{- $_ := set $c (printf "spark.executor.%s" $key) $value -}}
{{- end -}}
{{- $_ := set $c "spark.kubernetes.executor.limit.cores" $d.executor.limitCores -}}
{{- $_ := set $c "spark.kubernetes.file.upload.path" $d.fileUploadPath -}}
{{- $packages := $d.packages -}}
{{- if and $d.iceberg.catalogs $d.iceberg.package -}}{{- $packages = append $packages $d.iceberg.package -}}{{- end -}}
{{- if $packages -}}
{{- $_ := set $c "spark.jars.packages" (join "," $packages) -}}
{{- /* The home directory of the image's user cannot be written. */ -}}
{{- $_ := set $c "spark.jars.ivy" "/tmp/.ivy2" -}}
{{- end -}}
{{- with $d.eventLog -}}
{{- if .enabled -}}
{{- $_ := set $c "spark.eventLog.enabled" "true" -}}
{{- $_ := set $c "spark.eventLog.dir" .dir -}}
{{- $_ := set $c "spark.eventLog.compress" .compress -}}
{{- $_ := set $c "spark.eventLog.rolling.enabled" .rolling -}}
{{- end -}}
{{- end -}}
{{- if ne .for "connect" -}}
{{- with include "spark-platform.eventLogClaim" $root -}}
{{- $at := "spark.kubernetes.driver.volumes.persistentVolumeClaim.spark-events" -}}
{{- $_ := set $c (printf "%s.options.claimName" $at) . -}}
{{- $_ := set $c (printf "%s.mount.path" $at) $d.eventLog.volume.mountPath -}}
{{- end -}}
{{- end -}}
{{- if $d.metrics.servlet -}}
{{- $_ := set $c "spark.ui.prometheus.enabled" "true" -}}
{{- $_ := set $c "spark.metrics.conf.*.sink.prometheusServlet.class" "org.apache.spark.metrics.sink.PrometheusServlet" -}}
{{- $_ := set $c "spark.metrics.conf.*.sink.prometheusServlet.path" "/metrics/prometheus" -}}
{{- end -}}
{{- toJson $c -}}
{{- end -}}

{{/* Templates, and Secrets and ConfigMaps in the pods. */}}
{{- define "spark-platform.conf.pods" -}}
{{- $d := .root.Values.sparkDefaults -}}
{{- $c := dict -}}
{{- $template := ternary $d.rapids.podTemplate $d.executor.podTemplate $d.rapids.enabled -}}
{{- if eq .for "connect" -}}{{- $template = ternary $d.rapids.podTemplate .root.Values.connect.executors.podTemplate $d.rapids.enabled -}}{{- end -}}
{{- $_ := set $c "spark.kubernetes.executor.podTemplateFile" (printf "/etc/spark/templates/%s.yaml" $template) -}}
{{- $_ := set $c "spark.kubernetes.executor.podTemplateContainerName" "spark-kubernetes-executor" -}}
{{- if ne .for "connect" -}}
{{- $_ := set $c "spark.kubernetes.driver.podTemplateFile" (printf "/etc/spark/templates/%s.yaml" $d.driverPodTemplate) -}}
{{- $_ := set $c "spark.kubernetes.driver.podTemplateContainerName" "spark-kubernetes-driver" -}}
{{- end -}}
{{- $secrets := dict -}}
{{- with $d.s3.credentials -}}
{{- if .secretName -}}
{{- $_ := set $secrets "AWS_ACCESS_KEY_ID" (printf "%s:%s" .secretName .accessKey) -}}
{{- $_ := set $secrets "AWS_SECRET_ACCESS_KEY" (printf "%s:%s" .secretName .secretKey) -}}
{{- end -}}
{{- end -}}
{{- range $d.iceberg.catalogs -}}
{{- if .credentialSecret -}}
{{- $_ := set $secrets (include "spark-platform.catalogVariable" .name) (printf "%s:%s" .credentialSecret.name (default "credential" .credentialSecret.key)) -}}
{{- end -}}
{{- end -}}
{{- range $variable, $reference := $secrets -}}
{{- range $role := (eq $.for "connect" | ternary (list "executor") (list "driver" "executor")) -}}
{{- $_ := set $c (printf "spark.kubernetes.%s.secretKeyRef.%s" $role $variable) $reference -}}
{{- end -}}
{{- end -}}
{{- with $d.hdfs -}}
{{- $_ := set $c "spark.kubernetes.hadoop.configMapName" .configMap -}}
{{- $_ := set $c "spark.kubernetes.kerberos.krb5.configMapName" .krb5ConfigMap -}}
{{- if .tokenSecret.name -}}
{{- $_ := set $c "spark.kubernetes.kerberos.tokenSecret.name" .tokenSecret.name -}}
{{- $_ := set $c "spark.kubernetes.kerberos.tokenSecret.itemKey" .tokenSecret.key -}}
{{- end -}}
{{- end -}}
{{- toJson $c -}}
{{- end -}}

{{- define "spark-platform.catalogVariable" -}}
{{- printf "ICEBERG_%s_CREDENTIAL" (upper . | replace "-" "_") -}}
{{- end -}}

{{- define "spark-platform.conf.scaling" -}}
{{- $d := .root.Values.sparkDefaults -}}
{{- $c := dict -}}
{{- $on := or $d.dynamicAllocation.enabled (eq .for "connect") -}}
{{- if $on -}}
{{- $a := $d.dynamicAllocation -}}
{{- $min := ternary .root.Values.connect.executors.min $a.minExecutors (eq .for "connect") -}}
{{- $max := ternary .root.Values.connect.executors.max $a.maxExecutors (eq .for "connect") -}}
{{- $c = dict "enabled" "true" "shuffleTracking.enabled" $a.shuffleTracking "minExecutors" $min "maxExecutors" $max "executorIdleTimeout" $a.executorIdleTimeout "shuffleTracking.timeout" $a.shuffleTrackingTimeout -}}
{{- if ne .for "connect" -}}{{- $_ := set $c "initialExecutors" $a.initialExecutors -}}{{- end -}}
{{- $named := dict -}}
{{- range $key, $value := $c -}}{{- $_ := set $named (printf "spark.dynamicAllocation.%s" $key) $value -}}{{- end -}}
{{- $c = $named -}}
{{- else -}}
{{- $_ := set $c "spark.executor.instances" $d.executor.instances -}}
{{- end -}}
{{- if $d.decommission.enabled -}}
{{- $_ := set $c "spark.decommission.enabled" "true" -}}
{{- $_ := set $c "spark.storage.decommission.enabled" "true" -}}
{{- $_ := set $c "spark.storage.decommission.rddBlocks.enabled" "true" -}}
{{- $_ := set $c "spark.storage.decommission.shuffleBlocks.enabled" "true" -}}
{{- $_ := set $c "spark.storage.decommission.fallbackStorage.path" $d.decommission.fallbackStorage -}}
{{- end -}}
{{- toJson $c -}}
{{- end -}}

{{- define "spark-platform.conf.security" -}}
{{- $d := .root.Values.sparkDefaults -}}
{{- $c := dict -}}
{{- if $d.security.authenticate -}}{{- $_ := set $c "spark.authenticate" "true" -}}{{- end -}}
{{- if $d.security.encrypt -}}
{{- $_ := set $c "spark.network.crypto.enabled" "true" -}}
{{- $_ := set $c "spark.io.encryption.enabled" "true" -}}
{{- end -}}
{{- toJson $c -}}
{{- end -}}

{{- define "spark-platform.conf.catalogs" -}}
{{- $d := .root.Values.sparkDefaults -}}
{{- $c := dict -}}
{{- if $d.hive.metastoreUris -}}
{{- $_ := set $c "spark.sql.catalogImplementation" "hive" -}}
{{- $_ := set $c "spark.hadoop.hive.metastore.uris" (join "," $d.hive.metastoreUris) -}}
{{- end -}}
{{- $_ := set $c "spark.sql.warehouse.dir" $d.hive.warehouseDir -}}
{{- if $d.iceberg.catalogs -}}
{{- $_ := set $c "spark.sql.extensions" "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions" -}}
{{- $_ := set $c "spark.sql.defaultCatalog" $d.iceberg.default -}}
{{- end -}}
{{- range $d.iceberg.catalogs -}}
{{- $at := printf "spark.sql.catalog.%s" .name -}}
{{- $_ := set $c $at "org.apache.iceberg.spark.SparkCatalog" -}}
{{- $_ := set $c (printf "%s.type" $at) .type -}}
{{- $_ := set $c (printf "%s.uri" $at) (default "" .uri) -}}
{{- $_ := set $c (printf "%s.warehouse" $at) (default "" .warehouse) -}}
{{- if .credentialSecret -}}
{{- /* The REST catalogue reads `env:` from the environment: no property holds the secret. */ -}}
{{- $_ := set $c (printf "%s.credential" $at) (printf "env:%s" (include "spark-platform.catalogVariable" .name)) -}}
{{- end -}}
{{- range $key, $value := .properties -}}{{- $_ := set $c (printf "%s.%s" $at $key) $value -}}{{- end -}}
{{- end -}}
{{- toJson $c -}}
{{- end -}}

{{- define "spark-platform.conf.rapids" -}}
{{- $d := .root.Values.sparkDefaults -}}
{{- $c := dict -}}
{{- if $d.rapids.enabled -}}
{{- $r := $d.rapids -}}
{{- $device := (get .root.Values.podTemplates $r.podTemplate).device -}}
{{- $_ := set $c "spark.plugins" "com.nvidia.spark.SQLPlugin" -}}
{{- if hasPrefix "local://" $r.jar -}}
{{- /* On the class path, where no jar of the job's own takes its place. */ -}}
{{- $_ := set $c "spark.driver.extraClassPath" (trimPrefix "local://" $r.jar) -}}
{{- $_ := set $c "spark.executor.extraClassPath" (trimPrefix "local://" $r.jar) -}}
{{- else -}}
{{- $_ := set $c "spark.jars" $r.jar -}}
{{- end -}}
{{- $_ := set $c "spark.rapids.sql.enabled" "true" -}}
{{- $_ := set $c "spark.rapids.sql.concurrentGpuTasks" $r.concurrentGpuTasks -}}
{{- $_ := set $c "spark.rapids.memory.pinnedPool.size" $r.pinnedMemory -}}
{{- $_ := set $c "spark.executor.memoryOverhead" $r.memoryOverhead -}}
{{- /* Spark schedules by a resource called gpu; a MIG slice of the mixed strategy has another name, and there
       the pod's only device is the one that is used. */ -}}
{{- if hasSuffix "/gpu" $device.resource -}}
{{- $_ := set $c "spark.executor.resource.gpu.amount" $r.gpusPerExecutor -}}
{{- $_ := set $c "spark.executor.resource.gpu.vendor" (trimSuffix "/gpu" $device.resource) -}}
{{- $_ := set $c "spark.executor.resource.gpu.discoveryScript" (default "/etc/spark/scripts/discover-gpus.sh" $r.discoveryScript) -}}
{{- $_ := set $c "spark.task.resource.gpu.amount" (divf 1 $r.tasksPerGpu) -}}
{{- end -}}
{{- end -}}
{{- toJson $c -}}
{{- end -}}

{{- define "spark-platform.conf.gang" -}}
{{- $g := .root.Values.gangScheduling -}}
{{- $c := dict -}}
{{- if and (has $g.scheduler (list "volcano" "yunikorn")) (ne .for "operator") -}}
{{- $_ := set $c "spark.kubernetes.scheduler.name" $g.scheduler -}}
{{- end -}}
{{- if and (eq $g.scheduler "volcano") (eq .for "submit") -}}
{{- range $role := list "driver" "executor" -}}
{{- $_ := set $c (printf "spark.kubernetes.%s.pod.featureSteps" $role) "org.apache.spark.deploy.k8s.features.VolcanoFeatureStep" -}}
{{- end -}}
{{- $_ := set $c "spark.kubernetes.scheduler.volcano.podGroupTemplateFile" "/etc/spark/templates/podgroup.yaml" -}}
{{- end -}}
{{- if and (eq $g.scheduler "yunikorn") (ne .for "operator") -}}
{{- range $role := (eq .for "connect" | ternary (list "executor") (list "driver" "executor")) -}}
{{- $_ := set $c (printf "spark.kubernetes.%s.label.queue" $role) (default (printf "root.%s" $.namespace) $g.queue) -}}
{{- $_ := set $c (printf "spark.kubernetes.%s.annotation.yunikorn.apache.org/app-id" $role) "{{APP_ID}}" -}}
{{- end -}}
{{- end -}}
{{- toJson $c -}}
{{- end -}}
