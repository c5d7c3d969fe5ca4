type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Flat<T> = T extends Date ? T : T extends object ? { [K in keyof T]: Flat<T[K]> } : T;

/** Compiles where `A` and `B` are one type, however it was put together. */
export const same = <A, B>(..._proof: Same<Flat<A>, Flat<B>> extends true ? [] : [never]): void => {};
