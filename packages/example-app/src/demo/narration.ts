import { nameOf, type Report, type Start } from './worker-log'

export function heading(text: string): void {
  console.log(`\n${text}`)
}

export function say(who: 'application' | 'worker', what: string, about: string): void {
  console.log(`  ${who.padEnd(13)}${what.padEnd(10)} ${about}`)
}

export function introduce({ dataSource, handler }: Start): void {
  say('worker', 'starts', `on ${dataSource}, with the ${handler} handler`)
}

export function relay(report: Report): void {
  const { job, msg, ms, reason, err } = report
  const details = [ms === undefined ? undefined : `in ${ms} ms`, reason, err?.message].filter(Boolean).join(', ')
  say('worker', msg, `${nameOf(job)} ${details}`)
}
