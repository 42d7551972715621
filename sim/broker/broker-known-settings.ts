/**
 * Settings of a Kafka 4.1 broker that are understood here and change nothing: what they steer is not simulated (sockets, threads,
 * security, folders, metrics), is given to the broker in another way (its id and listeners), or is read by controllers only.
 * A server.properties from elsewhere may hold them; they are reported, not rejected.
 */

const NAMES: ReadonlySet<string> = new Set(
  [
    // identity and listeners
    `
      node.id broker.id process.roles listeners advertised.listeners listener.security.protocol.map
      inter.broker.listener.name security.inter.broker.protocol controller.listener.names early.start.listeners
      controller.quorum.voters controller.quorum.bootstrap.servers
    `,
    // folders
    `
      log.dir log.dirs metadata.log.dir log.dir.failure.timeout.ms num.recovery.threads.per.data.dir
      num.replica.alter.log.dirs.threads replica.alter.log.dirs.io.max.bytes.per.second
    `,
    // threads and sockets
    `
      num.io.threads num.network.threads background.threads queued.max.requests queued.max.request.bytes
      socket.send.buffer.bytes socket.receive.buffer.bytes socket.request.max.bytes socket.listen.backlog.size
      replica.socket.receive.buffer.bytes max.connections max.connections.per.ip max.connections.per.ip.overrides
      max.connection.creation.rate connections.max.idle.ms connection.failed.authentication.delay.ms
      socket.connection.setup.timeout.max.ms
    `,
    // purgatories
    `
      fetch.purgatory.purge.interval.requests producer.purgatory.purge.interval.requests
      delete.records.purgatory.purge.interval.requests share.fetch.purgatory.purge.interval.requests
    `,
    // cleaning and compression
    `
      log.preallocate log.initial.task.delay.ms compression.type
      compression.gzip.level compression.lz4.level compression.zstd.level
    `,
    // read by controllers only
    `
      broker.session.timeout.ms auto.leader.rebalance.enable leader.imbalance.check.interval.seconds
      unclean.leader.election.interval.ms delete.topic.enable create.topic.policy.class.name
      alter.config.policy.class.name controller.performance.sample.period.ms
      controller.performance.always.log.threshold.ms
    `,
    // start, features and plugins
    `
      server.max.startup.time.ms unstable.api.versions.enable unstable.feature.versions.enable
      config.providers
      security.providers internal.metadata.log.segment.bytes internal.metadata.max.batch.size.in.bytes
      internal.metadata.max.fetch.size.in.bytes internal.metadata.delete.delay.millis
    `,
    // metrics and quotas
    `
      metric.reporters metrics.num.samples metrics.recording.level metrics.sample.window.ms
      kafka.metrics.reporters kafka.metrics.polling.interval.secs telemetry.max.bytes quota.window.num
      controller.quota.window.num replication.quota.window.num alter.log.dirs.replication.quota.window.num
      quota.window.size.seconds controller.quota.window.size.seconds replication.quota.window.size.seconds
      alter.log.dirs.replication.quota.window.size.seconds client.quota.callback.class
    `,
    // security
    `
      principal.builder.class connections.max.reauth.ms delegation.token.secret.key
      delegation.token.max.lifetime.ms delegation.token.expiry.time.ms delegation.token.expiry.check.interval.ms
    `,
    // groups
    `
      group.coordinator.append.linger.ms group.coordinator.threads
      offsets.topic.compression.codec
      group.share.max.size group.share.session.timeout.ms group.share.min.session.timeout.ms
      group.share.max.session.timeout.ms group.share.heartbeat.interval.ms group.share.min.heartbeat.interval.ms
      group.share.max.heartbeat.interval.ms group.share.assignors group.streams.session.timeout.ms
      group.streams.min.session.timeout.ms group.streams.max.session.timeout.ms
      group.streams.heartbeat.interval.ms group.streams.min.heartbeat.interval.ms
      group.streams.max.heartbeat.interval.ms group.streams.max.size group.streams.num.standby.replicas
      group.streams.max.standby.replicas group.share.enable group.share.partition.max.record.locks
      group.share.delivery.count.limit group.share.record.lock.duration.ms group.share.min.record.lock.duration.ms
      group.share.max.record.lock.duration.ms group.share.max.share.sessions group.share.persister.class.name
      share.coordinator.state.topic.num.partitions share.coordinator.state.topic.replication.factor
      share.coordinator.state.topic.min.isr share.coordinator.state.topic.segment.bytes share.coordinator.threads
      share.coordinator.snapshot.update.records.per.snapshot share.coordinator.write.timeout.ms
      share.coordinator.load.buffer.size share.coordinator.state.topic.compression.codec
      share.coordinator.append.linger.ms
    `,
    // transactions
    `


      transaction.partition.verification.enable producer.id.expiration.ms
      producer.id.expiration.check.interval.ms transaction.max.timeout.ms

      transaction.two.phase.commit.enable
    `,
    // remote storage
    `
      remote.log.storage.manager.impl.prefix remote.log.metadata.manager.impl.prefix
      remote.log.storage.system.enable remote.log.storage.manager.class.name remote.log.storage.manager.class.path
      remote.log.metadata.manager.class.name remote.log.metadata.manager.class.path
      remote.log.metadata.manager.listener.name remote.log.metadata.custom.metadata.max.bytes
      remote.log.index.file.cache.total.size.bytes remote.log.manager.thread.pool.size
      remote.log.manager.copier.thread.pool.size remote.log.manager.expiration.thread.pool.size
      remote.log.manager.task.interval.ms remote.log.manager.task.retry.backoff.ms
      remote.log.manager.task.retry.backoff.max.ms remote.log.manager.task.retry.jitter remote.log.reader.threads
      remote.log.reader.max.pending.tasks log.local.retention.ms log.local.retention.bytes
      remote.log.manager.copy.max.bytes.per.second remote.log.manager.copy.quota.window.num
      remote.log.manager.copy.quota.window.size.seconds remote.log.manager.fetch.max.bytes.per.second
      remote.log.manager.fetch.quota.window.num remote.log.manager.fetch.quota.window.size.seconds
      remote.fetch.max.wait.ms remote.list.offsets.request.timeout.ms
    `,
  ].flatMap((names) => names.trim().split(/\s+/)),
)

/** Families of settings that are open-ended in Kafka. */
const PREFIXES = ['listener.name.', 'ssl.', 'sasl.', 'rsm.config.', 'rlmm.config.', 'config.providers.']

/** Whether `name` is a broker setting of Kafka's that has no effect here. */
export function isSettingWithoutEffect(name: string): boolean {
  return NAMES.has(name) || PREFIXES.some((prefix) => name.startsWith(prefix))
}
