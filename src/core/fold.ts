/**
 * A text without letter case, beyond ASCII too, so that texts which differ in nothing else are equal. Upper case first
 * joins letters that have two lower-case forms, such as the Greek sigma's and the German sharp s.
 */
export const fold = (text: string): string => text.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ')
