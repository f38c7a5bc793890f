/** What goes on in the background for calls that have their receipt: it is awaited by `settled`, and so is its first error. */
export class Deliveries {
  private readonly underWay = new Set<Promise<void>>()
  private firstFailure: { readonly error: unknown } | undefined

  track(delivery: Promise<void>): void {
    const tracked = delivery.catch((error: unknown) => this.failed(error)).finally(() => this.underWay.delete(tracked))
    this.underWay.add(tracked)
  }

  failed(error: unknown): void {
    this.firstFailure ??= { error }
  }

  /** Resolves when nothing is under way; never rejects. */
  async idle(): Promise<void> {
    while (this.underWay.size > 0) await Promise.all(this.underWay)
  }

  /** @throws the first error since the last call */
  throwFirstFailure(): void {
    const failure = this.firstFailure
    this.firstFailure = undefined
    if (failure) throw failure.error
  }
}
