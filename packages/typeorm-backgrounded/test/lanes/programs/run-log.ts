import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const AT_WORK = 'at work: '

/** Where the methods of all processes write what they did, a line each. */
export class RunLog {
  private readonly path: string

  constructor(directory: string) {
    this.path = process.env.RUN_LOG = join(directory, 'runs.log')
  }

  get runs(): string[] {
    return this.lines.filter((line) => !line.startsWith(AT_WORK))
  }

  /** Whether a condition was seen in each of the processes that wrote here. */
  wasAtWork(condition: string): boolean {
    const seen = this.lines.filter((line) => line.startsWith(AT_WORK))
    return seen.length > 0 && seen.every((line) => line === `${AT_WORK}${condition} true`)
  }

  static write(line: string): void {
    appendFileSync(process.env.RUN_LOG as string, `${line}\n`)
  }

  static writeAtWork(condition: string, isAtWork: boolean): void {
    RunLog.write(`${AT_WORK}${condition} ${isAtWork}`)
  }

  private get lines(): string[] {
    return existsSync(this.path) ? readFileSync(this.path, 'utf8').split('\n').filter(Boolean) : []
  }
}
