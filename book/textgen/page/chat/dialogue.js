// What a model reads of a conversation, by the rules of dialogue.py. A turn is { question, answers }, with an answer for
// the name of each model that was asked.

// As Python's str.strip() has it: nothing but white space.
const blank = (text) => !/[^\p{White_Space}\x1c-\x1f]/u.test(text);

// The answer in a model's own conversation: where one model alone was asked, all go on from what that one said.
const answerOf = ({ answers }, name) => answers[name] ?? Object.values(answers)[0];

// The ids of the newest turns, whole ones, that fit into `room` tokens, the last of them still without an answer; which
// turn is the first of them; and how many answers came before. A turn without an answer is none for the model.
function context(engine, turns, name, room) {
  const said = turns.slice(0, -1).map((turn) => answerOf(turn, name));
  const last = [engine.end, ...engine.encode(`User: ${turns.at(-1).question} Assistant:`)];
  const parts = [last];
  let [first, length] = [said.length, last.length];
  for (; first > 0; first--) {
    const answer = said[first - 1];
    if (blank(answer)) continue;
    const question = engine.encode(`User: ${turns[first - 1].question} Assistant:`);
    const ids = [engine.end, ...question, ...engine.encode(` ${answer}`)];
    length += ids.length;
    if (length > room) break;
    parts.unshift(ids);
  }
  return { ids: parts.flat(), first, number: said.filter((answer) => !blank(answer)).length };
}
