/** An AbortController that is created when its signal is first read, which most jobs never do. */
export class LazyAbort {
  private controller: AbortController | undefined
  private aborted: { readonly reason: unknown } | undefined

  /** @param outer a signal that aborts this one too */
  constructor(private readonly outer: () => AbortSignal | undefined = none) {}

  get signal(): AbortSignal {
    if (this.controller) return this.controller.signal
    const controller = (this.controller = new AbortController())
    const outer = this.outer()
    if (this.aborted) controller.abort(this.aborted.reason)
    else if (outer?.aborted) controller.abort(outer.reason)
    else outer?.addEventListener('abort', () => controller.abort(outer.reason))
    return controller.signal
  }

  abort(reason: unknown): void {
    this.aborted ??= { reason }
    this.controller?.abort(reason)
  }
}

function none(): undefined {}
