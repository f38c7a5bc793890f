/** The lease numbers of one worker. Each claim gets a new one, which tells it from earlier claims of the same job. */
export class LeaseNumbers {
  private last = 0

  next(): number {
    return ++this.last
  }
}
