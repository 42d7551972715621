/**
 * The timeline of a watched run: an overview strip, a space-time diagram around what matters, and the line that replays it.
 */

import { paint } from './paint.js'
import type { Look } from './reporter.js'
import type { RunResult } from '../sim/scenario/result.js'
import { diagramOf } from './timeline-diagram.js'
import { storyOf } from './timeline-story.js'
import { stripOf } from './timeline-strip.js'

/** Needs `result.trace`; without one it says so. No line is longer than `look.width`. */
export function timelineOf(result: RunResult, look: Look): string {
  if (result.trace === undefined) return 'no timeline: nobody watched this run'
  const story = storyOf(result)
  return [
    ...stripOf(story, look),
    '',
    ...diagramOf(story, look),
    paint(`replay: samsa replay ${result.token}`, 'dim', look),
  ].join('\n')
}
