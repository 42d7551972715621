/**
 * The names of the files of a log directory, as Kafka's LogFileUtils gives them.
 *
 * A partition's log lives in `orders-0/`. Segment files are named by their base offset in 20 digits and a suffix; while
 * a file waits for its removal it carries `.deleted` behind that. A whole log that is being deleted lives in
 * `orders-0.<32 hex digits>-delete/`, one that the metadata does not know in `…-stray/`.
 */

import type { Offset } from '../kernel/units.js'

export const LOG_SUFFIX = '.log'
export const INDEX_SUFFIX = '.index'
export const TIME_INDEX_SUFFIX = '.timeindex'
export const TXN_INDEX_SUFFIX = '.txnindex'
export const SNAPSHOT_SUFFIX = '.snapshot'
export const DELETED_SUFFIX = '.deleted'
export const CLEANED_SUFFIX = '.cleaned'
export const SWAP_SUFFIX = '.swap'
export const DELETE_DIR_SUFFIX = '-delete'
export const STRAY_DIR_SUFFIX = '-stray'

export const LEADER_EPOCH_FILE = 'leader-epoch-checkpoint'
export const PARTITION_METADATA_FILE = 'partition.metadata'
export const RECOVERY_POINT_FILE = 'recovery-point-offset-checkpoint'
export const LOG_START_OFFSET_FILE = 'log-start-offset-checkpoint'
export const CLEANER_OFFSET_FILE = 'cleaner-offset-checkpoint'
export const HIGH_WATERMARK_FILE = 'replication-offset-checkpoint'
export const CLEAN_SHUTDOWN_FILE = '.kafka_cleanshutdown'

/** The longest name that a directory may have. */
const DIR_NAME_MAX = 255

/** `orders-0/00000000000000000042.log`. */
export function segmentPath(dir: string, baseOffset: Offset, suffix: string): string {
  return `${dir}/${String(baseOffset).padStart(20, '0')}${suffix}`
}

/** The offset in a segment file's name; undefined when the name does not begin with one. */
export function offsetOfPath(path: string): Offset | undefined {
  const match = /(?:^|\/)(\d+)\.[^/]*$/.exec(path)
  return match === null ? undefined : Number(match[1])
}

/** `orders-0.3f…-delete`: where a log waits for its removal. `unique` is 32 hex digits. */
export function renamedDir(partition: string, unique: string, suffix: string): string {
  const dash = partition.lastIndexOf('-')
  const tail = `${partition.slice(dash)}.${unique}${suffix}`
  return partition.slice(0, Math.min(dash, DIR_NAME_MAX - tail.length)) + tail
}

/** The files directly in a folder, sorted. */
export function filesIn(disk: { list(prefix: string): string[] }, dir: string): string[] {
  return disk.list(`${dir}/`)
}
