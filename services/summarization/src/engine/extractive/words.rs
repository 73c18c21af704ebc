//! Words that carry no subject, by language; and which language a text is in.

use std::{collections::HashMap, sync::LazyLock};

use rust_stemmers::Algorithm;

/// A language: how its words are cut to their stems and which of them say nothing of the subject.
pub(super) struct Language {
    pub(super) algorithm: Algorithm,
    /// Separated by spaces, in lower case.
    pub(super) stop_words: &'static str,
}

/// The languages known; the first is taken where none is recognised.
pub(super) static LANGUAGES: &[Language] = &[
    Language {
        algorithm: Algorithm::English,
        stop_words: "a about above after again against all also am an and any are aren't as at be because been before \
            being below between both but by can can't cannot could couldn't did didn't do does doesn't doing don't down \
            during each else ever few for from further get got had hadn't has hasn't have haven't having he he'd he'll \
            he's her here here's hers herself him himself his how however i i'd i'll i'm i've if in into is isn't it it's \
            its itself just let let's like may me might more most much must my myself no nor not of off oh ok okay on once \
            one only or other our ours ourselves out over own per quite rather really s same shall she she's should so \
            some such t than that that's the their theirs them themselves then there there's these they they'd they'll \
            they're they've this those though through thus to too uh um under until up upon us very via was wasn't we we'd \
            we'll we're we've well were weren't what what's when where whether which while who whom whose why will with \
            within without won't would wouldn't yeah yes yet you you'd you'll you're you've your yours yourself",
    },
    Language {
        algorithm: Algorithm::German,
        stop_words: "aber alle als also am an auch auf aus bei bin bis da damit dann das dass dein dem den denn der des \
            dessen die dies diese diesem diesen dieser dieses doch dort du durch ein eine einem einen einer eines er es \
            etwas euch für gegen hat hatte hatten hier ich ihm ihn ihnen ihr ihre ihrem ihren ihrer im in ins ist ja jede \
            jeder kann kein keine können man mehr mein mich mir mit muss nach nicht noch nun nur ob oder ohne sehr sein \
            seine seinem seinen seiner seit sich sie sind so soll sondern über um und uns unter vom von vor war waren was \
            weil wenn werden wer wie wieder will wir wird wo wurde wurden zu zum zur zwischen",
    },
    Language {
        algorithm: Algorithm::French,
        stop_words: "à ai au aux avait avec avoir c ça ce ceci cela ces cet cette ceux chez comme d dans de des donc du elle \
            elles en encore est et été être eu fait il ils j je l la le les leur leurs lui m ma mais me même mes moi mon n \
            ne nos notre nous on ont ou où par pas peu plus pour qu quand que quel quelle qui s sa sans se sera ses si son \
            sont sous sur t ta te tes toi ton tous tout toute très tu un une vos votre vous y était étaient",
    },
    Language {
        algorithm: Algorithm::Spanish,
        stop_words: "a al algo antes aquel aquella aún como con contra cual cuando de del desde donde dos el él ella ellas \
            ellos en entre era eran es esa ese eso esta está están este esto estos fue fueron ha había han hasta hay la las \
            le les lo los más me mi mientras muy nada ni no nos nosotros o otra otro otros para pero poco por porque que qué \
            quien se según ser si sí sin sobre son su sus también tan tanto te tiene toda todo todos tras tu un una uno \
            unos y ya yo",
    },
    Language {
        algorithm: Algorithm::Italian,
        stop_words: "a ad agli ai al alla alle anche c che chi ci ciò come con contro cui d da dai dal dalla dalle degli dei \
            del della delle di dopo dove e è ed era erano essere fra fu già gli ha hanno i il in io l la le lei lo loro lui \
            ma mi mio molto ne nei nel nella nelle no noi non nostro o ogni per perché però più poi quale quando quanto \
            quella quelle quello questa queste questi questo se sei senza si sia sono stata stato su sua sue sul sulla suo \
            suoi tra tu tutti tutto un una uno vi voi",
    },
    Language {
        algorithm: Algorithm::Portuguese,
        stop_words: "a à ao aos as às até com como da das de dela dele deles depois do dos e é ela elas ele eles em entre era \
            eram essa esse esta está este eu foi foram há isso isto já lhe mais mas me mesmo meu minha muito na não nas nem \
            no nos nós num numa o os ou para pela pelas pelo pelos por porque quando que quem se sem ser seu seus só sob \
            sobre sua suas também te tem tinha um uma você vos",
    },
    Language {
        algorithm: Algorithm::Dutch,
        stop_words: "aan al alles als altijd andere ben bij daar dan dat de der deze die dit doch doen door dus een en er ge \
            geen had heb hebben heeft hem het hier hij hoe hun ik in is ja je kan kon kunnen maar me meer men met mij mijn \
            moet na naar niet niets nog nu of om omdat onder ons ook op over reeds te tegen toch toen tot u uit uw van veel \
            voor want waren was wat we wel werd wezen wie wij wil worden wordt zal ze zei zelf zich zij zijn zo zonder zou",
    },
    Language {
        algorithm: Algorithm::Swedish,
        stop_words: "alla allt att av blev bli blir de dem den denna deras dess det detta dig din du då där efter ej eller en \
            er ett från för ha hade han hans har henne hennes hon honom hur här i icke ingen inom inte jag ju kan kunde man \
            med mellan men mig min mot mycket ni nu när någon något några och om oss på samma sedan sig sin sina sitt själv \
            skulle som så till under upp ut utan vad var vara vart varför vi vid vilka vilken är över",
    },
    Language {
        algorithm: Algorithm::Russian,
        stop_words: "а без более бы был была были было быть в вам вас весь во вот все всего всех вы где да для до его ее если \
            есть еще ещё же за здесь и из или им их к как ко когда кто ли либо мне может мы на над не него нее нет ни них но \
            ну о об однако он она они оно от очень по под после при с со так также такой там то того тоже той только том тут \
            ты у уже чего чем что чтобы эта эти это этого этой этом я",
    },
];

/// How many words are looked at to recognise a language.
const SAMPLE_WORDS: usize = 1_000;

/// Every stop word with the languages it is one of: bit `n` is the language at place `n`.
static STOP_WORDS: LazyLock<HashMap<&'static str, u32>> = LazyLock::new(|| {
    let mut languages = HashMap::new();
    for (place, language) in LANGUAGES.iter().enumerate() {
        for word in language.stop_words.split_whitespace() {
            *languages.entry(word).or_default() |= 1 << place;
        }
    }
    languages
});

/// The place in [`LANGUAGES`] of the language that most of the text's common words belong to.
pub(super) fn recognise<'w>(words: impl Iterator<Item = &'w str>) -> usize {
    let mut hits = vec![0_usize; LANGUAGES.len()];
    for word in words.take(SAMPLE_WORDS) {
        let languages = STOP_WORDS.get(word.to_lowercase().as_str()).copied().unwrap_or(0);
        for (place, hits) in hits.iter_mut().enumerate() {
            *hits += usize::from(languages >> place & 1 == 1);
        }
    }
    // Of equals the first wins, so that nothing recognised means English.
    (0..hits.len()).rev().max_by_key(|place| hits[*place]).unwrap_or(0)
}

/// Whether `word`, in lower case, says nothing of the subject in the language at `place`.
pub(super) fn is_stop_word(place: usize, word: &str) -> bool {
    STOP_WORDS.get(word).is_some_and(|languages| languages >> place & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::{LANGUAGES, is_stop_word, recognise};

    #[test]
    fn languages_are_recognised_by_their_common_words() {
        for (place, text) in [
            (0, "The cat sat on the mat and it was happy"),
            (1, "Die Katze saß auf der Matte und sie war froh"),
            (2, "Le chat est sur le tapis et il dort dans la maison"),
            (3, "El gato está en la casa y no quiere salir de ella"),
            (4, "Il gatto è nella casa e non vuole uscire con gli altri"),
            (5, "O gato não está na casa e ele foi embora com os outros"),
            (6, "De kat zat op de mat en het was niet koud voor hem"),
            (7, "Katten satt på mattan och den var inte kall för honom"),
            (8, "Кот сидел на ковре и он был очень рад, что это так"),
        ] {
            assert_eq!(recognise(text.split_whitespace()), place, "{text}");
        }
        assert_eq!(LANGUAGES.len(), 9);
    }

    #[test]
    fn what_is_not_recognised_is_taken_for_english() {
        assert_eq!(recognise("xyzzy plugh".split_whitespace()), 0);
        assert_eq!(recognise(std::iter::empty()), 0);
    }

    #[test]
    fn a_stop_word_of_one_language_is_a_word_in_another() {
        assert!(is_stop_word(1, "die"));
        assert!(!is_stop_word(0, "die"));
    }
}
