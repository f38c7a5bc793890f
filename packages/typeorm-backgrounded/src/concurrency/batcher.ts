/**
 * Adaptive batching: one batch is on its way at a time, and what arrives meanwhile goes with the next one.
 * No timers: a lone item leaves at the end of its tick, and under load the batches grow by themselves.
 */
export class Batcher<Item, Result> {
  private waiting: Waiting<Item, Result>[] = []
  private running: Promise<void> | undefined

  constructor(
    /** Handles a batch; one result per item, in order. A rejection rejects every item of the batch. */
    private readonly run: (items: Item[]) => Promise<readonly Result[]>,
    private readonly limits: BatchLimits<Item> = { items: 500 },
  ) {}

  add(item: Item): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.waiting.push({ item, since: performance.now(), resolve, reject })
      this.running ??= this.work()
    })
  }

  /** Resolves when nothing is waiting or on its way; never rejects. */
  async idle(): Promise<void> {
    while (this.running) await this.running
  }

  /** Settles with `result`, unhandled, what has waited for longer than `patience` ms. */
  dismiss(patience: number, result: Result): void {
    const late = performance.now() - patience
    const isLate = ({ since }: Waiting<Item, Result>) => since < late
    for (const waiting of this.waiting.filter(isLate)) waiting.resolve(result)
    this.waiting = this.waiting.filter((waiting) => !isLate(waiting))
  }

  private async work(): Promise<void> {
    await undefined // what else is added in this tick comes along
    while (this.waiting.length > 0) {
      const batch = this.take()
      try {
        const results = await this.run(batch.map((waiting) => waiting.item))
        batch.forEach((waiting, index) => waiting.resolve(results[index] as Result))
      } catch (error) {
        for (const waiting of batch) waiting.reject(error)
      }
    }
    this.running = undefined
  }

  private take(): Waiting<Item, Result>[] {
    const { items, admission } = this.limits
    if (!admission) return this.waiting.splice(0, items)
    const accepts = admission()
    const taken: Waiting<Item, Result>[] = []
    const left: Waiting<Item, Result>[] = []
    for (const waiting of this.waiting) {
      const fits = taken.length < items && accepts(waiting.item)
      ;(fits ? taken : left).push(waiting)
    }
    this.waiting = left
    return taken
  }
}

interface BatchLimits<Item> {
  /** The most items in a batch. */
  readonly items: number
  /** Called for each new batch: says of one item after the other whether it may join, or waits for the next. */
  readonly admission?: () => (item: Item) => boolean
}

interface Waiting<Item, Result> {
  readonly item: Item
  /** By `performance.now()`. */
  readonly since: number
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/**
 * Runs `items` together; when that fails, halves them until the offender stands alone, so that one bad
 * member never fails its neighbours. `isHopeless` errors (a lost connection) are not worth splitting.
 */
export async function runInHalves<Item, Result>(
  items: readonly Item[],
  run: (items: readonly Item[]) => Promise<readonly Result[]>,
  failed: (item: Item, error: unknown) => Result,
  isHopeless: (error: unknown) => boolean,
): Promise<Result[]> {
  try {
    return [...(await run(items))]
  } catch (error) {
    if (items.length === 1 || isHopeless(error)) return items.map((item) => failed(item, error))
    const middle = Math.ceil(items.length / 2)
    const first = await runInHalves(items.slice(0, middle), run, failed, isHopeless)
    const second = await runInHalves(items.slice(middle), run, failed, isHopeless)
    return [...first, ...second]
  }
}
