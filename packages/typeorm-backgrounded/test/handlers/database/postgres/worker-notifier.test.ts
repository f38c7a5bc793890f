import { expect } from 'chai'
import { WorkerNotifier } from '../../../../src/handlers/database/postgres/worker-notifier'
import { until } from '../../../support/worker-process'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const job = { queue: 'default', priority: 0 }

describe('The notifications of workers on Postgres', () => {
  let sent: string[]
  let onSent: () => void
  let notifier: WorkerNotifier
  beforeEach(() => {
    sent = []
    onSent = () => {}
    notifier = new WorkerNotifier((payload) => {
      sent.push(payload)
      onSent()
      return Promise.resolve()
    }, silent)
  })

  it('are sent at once for the first call, and then for many calls together', async () => {
    for (let call = 0; call < 3; call++) notifier.notifyWorkers([job])
    expect(sent).to.have.length(1)
    await until(() => sent.length === 2)
    await notifier.close()
    expect(sent, 'no other was sent').to.have.length(2)
  })

  it('are sent for the last calls when the process ends', async () => {
    notifier.notifyWorkers([job])
    notifier.notifyWorkers([job])
    await notifier.close()
    expect(sent).to.have.length(2)
  })

  it('are sent for each queue separately', async () => {
    notifier.notifyWorkers([job, { ...job, queue: 'mail' }, job])
    await notifier.close()
    expect(sent).to.deep.equal(['[0,"default"]', '[0,"mail"]'])
  })

  it('are sent less often while calls come fast, and at once again when they slow down', async () => {
    const happened: string[] = []
    const numbersOfCalls = [100, 100, 1, 1]
    onSent = () => {
      const number = numbersOfCalls.shift() ?? 0
      happened.push('sent')
      for (let call = 0; call < number; call++) notifier.notifyWorkers([job])
      if (number === 1) setTimeout(() => happened.push('15 ms'), 15) // timers end in order, however late
    }
    notifier.notifyWorkers([job])
    await until(() => happened.length === 7)
    expect(happened).to.deep.equal(['sent', 'sent', 'sent', '15 ms', 'sent', 'sent', '15 ms'])
  })
})
