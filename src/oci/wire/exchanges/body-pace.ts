/** Lets the body of a request or an answer go on as limits allow it. */
export interface BodyPace {
  /** Undefined where nobody has to wait. Rejects when the request is not wanted any more. */
  take(bytes: number): Promise<void> | undefined
  /** A chunk in the pieces that it is sent in. */
  pieces(chunk: Buffer): readonly Buffer[]
  /** It waits for somebody else than the far end. */
  rest(): void
  /** It goes on. Undefined where it may at once. */
  go(): Promise<void> | undefined
}

/** What is sent, each piece once it may go. */
export async function* inPace(body: AsyncIterable<Buffer>, pace: BodyPace): AsyncGenerator<Buffer> {
  pace.rest()
  for await (const chunk of body) {
    const place = pace.go()
    if (place) await place
    for (const piece of pace.pieces(chunk)) {
      const wait = pace.take(piece.length)
      if (wait) await wait
      yield piece
    }
    pace.rest()
  }
  const place = pace.go()
  if (place) await place
}
