import pino from 'pino'
import pretty from 'pino-pretty'
import type { Logger } from '../logger'
import { guarded } from '../reporting/guarded-logger'

export interface TerminalLogger extends Logger {
  fatal(fields: object, message: string): void
}

/** Prints readable lines on a terminal, and JSON elsewhere. LOG_LEVEL sets the level, default info. */
export function terminalLogger(): TerminalLogger {
  const lines = linesByLevel()
  const last: Logger = { ...lines, error: (fields, message) => lines.fatal(fields, message) }
  return Object.assign(guarded(lines), { fatal: guarded(last).error.bind(undefined) })
}

function linesByLevel(): pino.Logger {
  const level = process.env.LOG_LEVEL ?? 'info'
  // Synchronous, so that the last line of a worker is written before its process exits.
  if (!process.stdout.isTTY) return pino({ level }, pino.destination({ sync: true }))
  return pino(
    { level },
    pretty({
      colorize: true,
      ignore: 'pid,hostname,event,job',
      translateTime: 'HH:MM:ss.l',
      messageFormat: lineOf,
      hideObject: false,
      singleLine: true,
      sync: true,
    }),
  )
}

/** The job first, then its outcome: "Photo#5.makeThumbnails completed". */
function lineOf(line: Record<string, unknown>): string {
  const job = line.job as { entity?: string; method?: string; key?: Record<string, unknown> } | undefined
  const message = String(line.msg)
  if (!job?.entity) return message
  const key = job.key ? `#${Object.values(job.key).join(',')}` : ''
  return `${job.entity}${key}.${job.method} ${message}`
}
