import { withResolver } from '../../concurrency/sleep'

const gates = new Set<Gate>()

/** Holds running methods until it is opened, which the end of the case does too. */
export class Gate {
  private readonly resolver = withResolver()
  readonly opened = this.resolver.promise

  constructor() {
    gates.add(this)
  }

  open(): void {
    gates.delete(this)
    this.resolver.resolve()
  }
}

export function openAllGates(): void {
  for (const gate of gates) gate.open()
}
