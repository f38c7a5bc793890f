import { expect } from 'chai'
import { WorkerNotifier } from '../../../../src/handlers/database/postgres/worker-notifier'
import { until } from '../../../support/worker-process'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const job = { queue: 'default', priority: 0 }

describe('What workers are told of new jobs on Postgres', () => {
  let told: string[]
  let onTold: () => void
  let calls: WorkerNotifier
  beforeEach(() => {
    told = []
    onTold = () => {}
    calls = new WorkerNotifier((payload) => {
      told.push(payload)
      onTold()
      return Promise.resolve()
    }, silent)
  })

  it('is told at once, and then of many calls together', async () => {
    for (let call = 0; call < 3; call++) calls.notifyWorkers([job])
    expect(told).to.have.length(1)
    await until(() => told.length === 2)
    await calls.close()
    expect(told, 'nothing has come since').to.have.length(2)
  })

  it('is told of the last calls when the process ends', async () => {
    calls.notifyWorkers([job])
    calls.notifyWorkers([job])
    await calls.close()
    expect(told).to.have.length(2)
  })

  it('is told of each queue by itself', async () => {
    calls.notifyWorkers([job, { ...job, queue: 'mail' }, job])
    await calls.close()
    expect(told).to.deep.equal(['[0,"default"]', '[0,"mail"]'])
  })

  it('is told more rarely where calls come fast, and as soon as ever when they do so no more', async () => {
    const happened: string[] = []
    const numbersOfCalls = [100, 100, 1, 1]
    onTold = () => {
      const number = numbersOfCalls.shift() ?? 0
      happened.push('told')
      for (let call = 0; call < number; call++) calls.notifyWorkers([job])
      if (number === 1) setTimeout(() => happened.push('15 ms'), 15) // timers end in order, however late
    }
    calls.notifyWorkers([job])
    await until(() => happened.length === 7)
    expect(happened).to.deep.equal(['told', 'told', 'told', '15 ms', 'told', 'told', '15 ms'])
  })
})
