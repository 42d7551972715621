/**
 * Settings of Kafka 4.1's clients that are understood here and change nothing: what they steer is not simulated (sockets, security,
 * serializers, metrics), or is given in another way (where to connect to). A client's configuration from elsewhere may hold them; they are
 * reported, not rejected. What would change an answer, such as a partitioner of one's own, is rejected.
 */

const NAMES: ReadonlySet<string> = new Set(
  `
    bootstrap.servers client.dns.lookup connections.max.idle.ms send.buffer.bytes receive.buffer.bytes
    security.protocol security.providers config.providers
    key.serializer value.serializer key.deserializer value.deserializer interceptor.classes
    compression.gzip.level compression.lz4.level compression.zstd.level
    metric.reporters metrics.num.samples metrics.recording.level metrics.sample.window.ms enable.metrics.push auto.include.jmx.reporter
  `
    .trim()
    .split(/\s+/),
)

/** Families of settings that are open-ended in Kafka. */
const PREFIXES = ['ssl.', 'sasl.', 'metrics.context.', 'config.providers.']

/** Whether `name` is a setting of Kafka's producers or consumers that has no effect here. */
export function isClientSettingWithoutEffect(name: string): boolean {
  return NAMES.has(name) || PREFIXES.some((prefix) => name.startsWith(prefix))
}

/** The settings that are read. */
export function settingsWithEffect(given: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(given).filter(([name]) => !isClientSettingWithoutEffect(name)))
}
