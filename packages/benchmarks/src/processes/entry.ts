import { SIDES } from '../sides'
import { STEPS, type Parent } from '../steps'
import type { Assignment, FromChild, ToChild } from './child-process'

// Nothing outlives the benchmark.
process.on('disconnect', () => process.exit(1))

process.once('message', (assignment: Assignment) => {
  void take(assignment).then(
    (result) => tell({ kind: 'result', result }),
    (error: unknown) => tell({ kind: 'failure', error: (error as Error)?.stack ?? String(error) }),
  )
})

async function take({ step, side: name, place, settings }: Assignment): Promise<unknown> {
  const { open } = await SIDES[name].load()
  const side = await open(place)
  if (place.isBlank) await side.lay()
  const started = told('go')
  const parent: Parent = { count: (count) => tell({ kind: 'progress', count }), stopped: told('stop') }
  tell({ kind: 'ready' })
  await started
  const result = await STEPS[step](side, settings as never, parent)
  // Some sides are slow to let go; the figures are there already.
  await Promise.race([side.close(), new Promise((resolve) => setTimeout(resolve, 5_000).unref())])
  return result
}

function told(word: ToChild): Promise<void> {
  return new Promise((resolve) => process.on('message', (message) => message === word && resolve()))
}

function tell(message: FromChild): void {
  const isLast = message.kind === 'result' || message.kind === 'failure'
  process.send?.(message, () => {
    if (isLast) process.exit(0)
  })
}
