/**
 * Adaptive batching: one batch runs at a time, and items that arrive meanwhile go with the next one. It needs no timers,
 * because a single item leaves at the end of its tick, and under load the batches grow by themselves.
 */
export class Batcher<Item, Result> {
  private waiting: Waiting<Item, Result>[] = []
  private running: Promise<void> | undefined

  constructor(
    /** Handles a batch, and returns one result per item, in order. A rejection rejects every item of the batch. */
    private readonly run: (items: Item[]) => Promise<readonly Result[]>,
    private readonly limits: BatchLimits<Item> = { items: 500 },
  ) {}

  add(item: Item): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.waiting.push({ item, since: performance.now(), resolve, reject })
      this.running ??= this.work()
    })
  }

  /** Resolves when no item waits and no batch runs. Never rejects. */
  async idle(): Promise<void> {
    while (this.running) await this.running
  }

  /** Resolves items that have waited for longer than `patience` ms with `result`, without running them. */
  dismiss(patience: number, result: Result): void {
    const late = performance.now() - patience
    const isLate = ({ since }: Waiting<Item, Result>) => since < late
    for (const waiting of this.waiting.filter(isLate)) waiting.resolve(result)
    this.waiting = this.waiting.filter((waiting) => !isLate(waiting))
  }

  private async work(): Promise<void> {
    await undefined // so that items which are added later in this tick join the batch
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
  /** Called for each new batch. Its result decides for one item after the other whether that item may join the batch. */
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
 * Runs `items` together. When that fails, runs each half on its own, and so on, until only the bad items fail. Errors that
 * are `isHopeless`, such as a lost connection, fail all items at once.
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
